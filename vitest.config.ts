import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    setupFiles: './test/seed.ts',
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'scenarios/*/*.test.ts'],
          exclude: ['test/**/*.kernel.test.ts'],
          globalSetup: './test/build-first.ts',
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // After everything else: these tests create network namespaces, each its own, and ask a real kernel.
        extends: true,
        test: {
          name: 'kernel',
          include: ['test/**/*.kernel.test.ts'],
          globalSetup: './test/build-first.ts',
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
