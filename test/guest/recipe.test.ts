/** The guest is built from the sources of the host's own release and from nothing else. */
import test from 'ava';
import { recipeKey, sourceLines } from './recipe.ts';

test('only the release, its updates and its security suite are taken, each once', (t) => {
  const listed = [
    'deb http://mirror.invalid/debian/ bookworm main',
    'deb http://mirror.invalid/debian/ bookworm main',
    'deb http://mirror.invalid/debian/ bookworm-updates main',
    'deb http://security.invalid/debian/ bookworm-security main',
    'deb http://mirror.invalid/debian/ bookworm contrib',
    'deb http://mirror.invalid/debian/ bookworm-backports main',
    'deb http://mirror.invalid/debian/ trixie main',
    'deb http://other.invalid/node nodistro main',
    '',
  ].join('\n');
  t.deepEqual(sourceLines(listed, 'bookworm'), [
    'deb http://mirror.invalid/debian/ bookworm main',
    'deb http://mirror.invalid/debian/ bookworm-updates main',
    'deb http://security.invalid/debian/ bookworm-security main',
  ]);
});

test('another release is another bed', (t) => {
  t.regex(recipeKey('bookworm'), /^[0-9a-f]{12}$/);
  t.not(recipeKey('bookworm'), recipeKey('trixie'));
});
