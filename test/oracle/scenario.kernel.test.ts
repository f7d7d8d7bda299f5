// The scenarios whose networks this machine's kernel can hold, on the kernel and in the engine.
import { describeAgreement, scenariosOf } from './agreement.ts';
import { describeKernel } from './kernel.ts';

for (const name of scenariosOf('host')) describeAgreement(describeKernel, name);
