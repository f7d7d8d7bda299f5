// netwhy lint: exit codes, one line a fault with its places, and JSON as its schema says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LintReport } from '../../src/model/lintreport.ts';
import { netwhy, root } from './bin.ts';

const FOREIGN = 'scenarios/foreign-rules';
const HEALTHY = 'test/captures/kube-proxy-1.26-iptables/node1';

describe('netwhy lint', () => {
  it('exits 1 with warnings, 0 with notes at most, 2 without a capture', () => {
    expect(netwhy(['lint', FOREIGN])).toMatchObject({ code: 1, err: '' });
    expect(netwhy(['lint', HEALTHY])).toMatchObject({ code: 0, err: '' });
    expect(netwhy(['lint', 'nowhere'])).toMatchObject({ code: 2, out: '' });
  });

  it('tells the line of a dead rule and the line that makes it dead', () => {
    const [, file, line, , , before] = /^(\S+):(\d+): (warning): filter FORWARD (\d) .*\(\S+:(\d+)\) \[dead-rule\]$/m.exec(
      netwhy(['lint', FOREIGN]).out,
    )!;
    const text = readFileSync(join(root, FOREIGN, file!), 'utf8').split('\n');
    expect(text[Number(line) - 1]).toContain('-j ACCEPT');
    expect(text[Number(before) - 1]).toContain('-j REJECT');
  });

  it('prints JSON that its schema takes, and the same faults as in text', () => {
    const { out } = netwhy(['lint', FOREIGN, '-j', '--color=always']);
    const report = LintReport.parse(JSON.parse(out));
    expect(report.faults.filter((f) => f.severity === 'warning')).toHaveLength(report.warnings);
    const text = netwhy(['lint', FOREIGN, '--all']).out;
    for (const f of report.faults) expect(text).toContain(`${f.at}: ${f.severity}: ${f.message}`);
    const schema = JSON.parse(netwhy(['schema', 'lint']).out) as {
      $ref?: string;
      properties?: object;
      $defs?: Record<string, { properties: object }>;
    };
    const properties = schema.properties ?? schema.$defs?.[schema.$ref?.split('/').at(-1) ?? '']?.properties;
    expect(Object.keys(properties ?? {})).toEqual(Object.keys(report));
  });

  it('reads a node with a thousand services in a few seconds', () => {
    expect(netwhy(['lint', 'test/captures/kube-proxy-1.26-iptables-1000-services'], { timeout: 20_000 })).toMatchObject({ code: 0, err: '' });
  });
});
