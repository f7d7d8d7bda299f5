// netwhy explain: a page for every code, and a code for every page.
import { describe, expect, it } from 'vitest';
import { PATTERN_CODES } from '../../src/ask/pattern.ts';
import { PAGES, pageText, pagesText } from '../../src/say/pages.ts';
import { netwhy } from './bin.ts';

describe('netwhy explain', () => {
  it('has a page for every code, and no other', () => {
    expect(Object.keys(PAGES).toSorted()).toEqual([...PATTERN_CODES].toSorted());
  });

  it.each([...PATTERN_CODES])('%s: a page that fits a screen, with something to see and to do', (code) => {
    const page = PAGES[code]!;
    expect(page.title).toMatch(/^[a-z].*[^.]$/i);
    expect(page.happens).toMatch(/\.$/);
    expect(page.cure).toMatch(/\.$/);
    expect(page.see.length).toBeGreaterThan(0);
    const lines = pageText(code)!.split('\n');
    expect(lines.filter((l) => l !== '').length).toBeLessThanOrEqual(16);
    expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(110);
  });

  it('prints the page of a code', () => {
    expect(netwhy(['explain', 'forward-policy-drop'])).toEqual({ code: 0, out: pageText('forward-policy-drop'), err: '' });
  });

  it('without a code lists all of them with their titles', () => {
    const run = netwhy(['explain']);
    expect(run).toEqual({ code: 0, out: pagesText(), err: '' });
    expect(run.out.trimEnd().split('\n')).toHaveLength(PATTERN_CODES.length);
  });

  it('tells the nearest codes of one that is none', () => {
    const run = netwhy(['explain', 'foward-policy-drop']);
    expect(run.code).toBe(2);
    expect(run.out).toBe('');
    expect(run.err).toMatch(/^netwhy: there is no page 'foward-policy-drop'; the nearest are forward-policy-drop, /);
  });
});
