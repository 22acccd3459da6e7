import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The rooms of lib/, each with the rooms it may import from: one DAG, from the command line down to the native addon.
 * Files at the top of lib/ other than index.ts (errors, matrix, native) are the ground that every room stands on.
 */
const ground = ['./errors.ts', './matrix.ts', './native.ts'];
const leaves = ['data', 'hub', 'random'];
const order = [
  'formats',
  'graph',
  'encoders',
  'runtime',
  'model',
  'flat',
  'retriever',
  'evaluate',
  'train',
  'tune',
  'cli',
];
const besides = { flat: ['model'] }; // rooms side by side: neither sees the other

const below = Object.fromEntries(
  order.map((room, i) => [room, [...order.slice(0, i), ...leaves].filter((other) => !besides[room]?.includes(other))]),
);
Object.assign(below, { hub: [], random: [], data: ['hub', 'random'] });

const zones = [
  ...Object.entries(below).map(([room, rooms]) => ({
    target: `./lib/${room}`,
    from: './lib',
    except: [...ground, ...[room, ...rooms].map((r) => `./${r}`)],
    message: `lib/${room} may import only from: ${[...rooms, 'errors', 'matrix', 'native'].join(', ')}.`,
  })),
  ...ground.map((file) => ({
    target: `./lib/${file.slice(2)}`,
    from: './lib',
    except: ground,
    message: 'The ground of lib/ imports no room.',
  })),
];

export default tseslint.config(
  { ignores: ['dist/', 'build/', 'build-*/', 'prebuilds/', 'test/fixtures/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    rules: {
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones }],
      'import-x/no-cycle': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/only-throw-error': 'off', // an abort rejects with signal.reason, whatever that is
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off', // callers may be JavaScript: arguments are checked
      '@typescript-eslint/no-non-null-assertion': 'off', // typed arrays under noUncheckedIndexedAccess
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'off', // JSON fixtures
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      'import-x/no-cycle': 'off',
    },
  },
);
