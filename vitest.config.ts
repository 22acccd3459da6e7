import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Models and thread pools are what the tests use the cores for.
    maxWorkers: 2,
    pool: 'forks',
    // A model that is not there is not looked for on the real Hub.
    env: { HF_HUB_OFFLINE: '1' },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
