// The scenarios whose networks this machine's kernel can hold, on the kernel and in the engine.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describeAgreement, scenariosOf } from './agreement.ts';
import { describeKernel, kernelMissing } from './kernel.ts';

for (const name of scenariosOf('host')) {
  // Loading the module would change how this machine's own bridges work, so it is left to its owner.
  const bridges = !existsSync(join(import.meta.dirname, '../../scenarios', name, 'build.sh')) || existsSync('/proc/sys/net/bridge');
  const missing = kernelMissing() ?? (bridges ? undefined : 'the module br_netfilter is not loaded');
  describeAgreement((claim, tests) => describeKernel(claim, tests, missing), name);
}
