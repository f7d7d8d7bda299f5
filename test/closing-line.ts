// The run's last line: `N passed, N failed, N skipped`. With NETWHY_KERNEL=required a kernel test file of which no
// test ran counts as failed, and so does a run without any: silence must not look as if the kernel had agreed.
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
    const silent: string[] = [];
    let kernelRan = false;
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      const count = (state: string): number => tests.filter((t) => t.result().state === state).length;
      this.passed += count('passed');
      this.skipped += count('skipped');
      this.failed += count('failed') + count('pending');
      // A file or a hook that breaks outside of any test is one failure of its own.
      if (module.state() === 'failed' && count('failed') === 0) this.failed++;
      if (module.moduleId.endsWith('.kernel.test.ts')) {
        kernelRan ||= count('passed') + count('failed') > 0;
        if (count('passed') + count('failed') === 0) silent.push(`no test of ${module.moduleId}`);
      }
    }
    if (process.env['NETWHY_KERNEL'] === 'required') {
      if (!kernelRan && silent.length === 0) silent.push('no *.kernel.test.ts');
      for (const name of silent) console.error(`NETWHY_KERNEL=required, but ${name} ran`);
      this.failed += silent.length;
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
