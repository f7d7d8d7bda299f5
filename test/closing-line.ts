// The run's last line: `N passed, N failed, N skipped`. With NETWHY_KERNEL=required a kernel test file of which no
// test ran counts as failed: a machine without the tools must not look as if the kernel had agreed.
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

class ClosingLine implements Reporter {
  private passed = 0;
  private failed = 0;
  private skipped = 0;
  private watching = false;

  onInit(vitest: Vitest): void {
    this.watching = vitest.config.watch;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.passed = this.skipped = 0;
    this.failed = unhandled.length;
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      const count = (state: string): number => tests.filter((t) => t.result().state === state).length;
      this.passed += count('passed');
      this.skipped += count('skipped');
      this.failed += count('failed') + count('pending');
      // A file or a hook that breaks outside of any test is one failure of its own.
      if (module.state() === 'failed' && count('failed') === 0) this.failed++;
      if (process.env['NETWHY_KERNEL'] === 'required' && module.moduleId.endsWith('.kernel.test.ts') && count('passed') + count('failed') === 0) {
        console.error(`${module.moduleId}: no test ran, and NETWHY_KERNEL=required`);
        this.failed++;
      }
    }
    if (this.failed > 0) process.exitCode = 1;
    if (this.watching) this.print();
    else process.once('exit', () => this.print());
  }

  private print(): void {
    process.stdout.write(`${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped\n`);
  }
}

// Vitest takes a reporter from a file's default export only.
export default ClosingLine;
