import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/errors.js';
import { isFileName } from '../../src/format/names.js';
import { parseNameTemplate } from '../../src/format/template.js';
import { thrown } from '../helpers/errors.js';

const VALUES = { step: 3000, epoch: 3, metrics: { loss: 0.31562, val_loss: 0.5, acc: 1, 'top-5 (%)': Number.NaN } };

function name(template: string, values: Parameters<ReturnType<typeof parseNameTemplate>['format']>[0] = VALUES): string {
  return parseNameTemplate(template).format(values);
}

describe('a template', () => {
  test.each([
    ['checkpoint_epoch{epoch:04d}_step{step:08d}_loss{val_loss:.4f}', 'checkpoint_epoch0003_step00003000_loss0.5000'],
    ['{step}', '3000'],
    ['{epoch:02d}-{val_loss:.2f}', '03-0.50'],
    ['weights.{epoch:02d}-{loss:.2e}.keras', 'weights.03-3.16e-01.keras'],
    ['{acc}', '1.0'],
    ['{acc:.0%}', '100%'],
    ['{step:,}', '3,000'],
    ['{step:.1f}', '3000.0'],
    ['{top-5 (%)}', 'nan'],
    ['{{{step}}}', '{3000}'],
    ['a{{b}}c', 'a{b}c'],
    ['{step:}', '3000'],
    ['{step::>6}', '::3000'],
    ['モデル{epoch}', 'モデル3'],
  ])('"%s" gives "%s"', (template, expected) => {
    expect(name(template)).toBe(expected);
  });

  test('tells its fields', () => {
    const template = parseNameTemplate('{step}_{loss:.2f}_{step:04d}_{epoch}');
    expect(template).toMatchObject({ text: '{step}_{loss:.2f}_{step:04d}_{epoch}', fields: ['step', 'loss', 'epoch'], isFixed: false });
    expect(parseNameTemplate('best_model{{}}')).toMatchObject({ fields: [], isFixed: true });
    expect(name('best_model{{}}')).toBe('best_model{}');
  });

  test('takes metrics of any name, and only the save’s own', () => {
    const metrics = JSON.parse('{"__proto__": 1.5, "a.b[0]": 2}');
    expect(name('{__proto__}_{a.b[0]}', { step: 1, metrics })).toBe('1.5_2.0');
    for (const inherited of ['constructor', 'toString', '__proto__']) {
      expect(thrown(() => name(`{${inherited}}`), 'ERR_INVALID_TEMPLATE').message).toContain(inherited);
    }
  });

  test('has the step and the epoch of the save, whatever its metrics are called', () => {
    expect(name('{step}_{epoch}', { step: 7, epoch: 2, metrics: { step: 0.5, epoch: 0.5 } })).toBe('7_2');
    expect(thrown(() => name('{epoch}', { step: 7, metrics: { epoch: 0.5 } }), 'ERR_INVALID_TEMPLATE').message).toMatch(/it has "step"\.$/);
  });

  test('that names what the save does not have says what it has', () => {
    expect(thrown(() => name('{vall_loss:.2f}'), 'ERR_INVALID_TEMPLATE').message).toBe(
      'The name template "{vall_loss:.2f}" names "vall_loss", which this save does not have; it has "step", "epoch", "loss", "val_loss", "acc", "top-5 (%)".',
    );
    expect(thrown(() => name('{epoch}', { step: 1, metrics: { loss: 1 } }), 'ERR_INVALID_TEMPLATE').message).toContain(
      'it has "step", "loss".',
    );
  });

  test.each([0.5, Number.NaN, 2 ** 53])('refuses a step of %d', (step) => {
    expect(thrown(() => name('{step}', { step, metrics: {} }), 'ERR_INVALID_ARGUMENT').message).toContain('step');
  });
});

describe('malformed:', () => {
  test.each([
    ['{', '"{" without a "}"'],
    ['a{step', '"{" without a "}"'],
    ['a}b', '"}" without a "{"'],
    ['{step}}', '"}" without a "{"'],
    ['{{step}', '"}" without a "{"'],
    ['{}', 'does not name a value'],
    ['{0}', 'does not name a value'],
    ['{:04d}', 'does not name a value'],
    ['{!r}', 'does not name a value'],
    ['{step!r}', 'conversion'],
    ['{loss!s:>5}', 'conversion'],
    ['{loss:{width}}', 'nested'],
    ['{loss{x}}', 'nested'],
    ['{loss:.4d}', '"d" is not a type of a float'],
    ['{epoch:.4d}', 'an integer has no precision'],
    ['{step:999d}', 'the width 999 is more than 200'],
    ['{loss:.1000f}', 'the precision 1000 is more than 100'],
  ])('"%s"', (template, why) => {
    const { message } = thrown(() => parseNameTemplate(template), 'ERR_INVALID_TEMPLATE');
    expect(message).toContain(why);
    expect(message).toContain(JSON.stringify(template));
  });

  test('no string', () => {
    expect(thrown(() => parseNameTemplate(7 as never), 'ERR_INVALID_ARGUMENT').message).toContain('number');
  });
});

describe('a name never leaves the directory', () => {
  test.each([
    ['', 'empty'],
    ['../up', 'begins with a dot'],
    ['.hidden', 'begins with a dot'],
    ['.{step}', 'begins with a dot'],
    ['a/b', 'holds "/"'],
    ['run/{step}', 'holds "/"'],
    ['{step}\\x', 'holds "\\\\"'],
    ['{step}\0', 'control character 0'],
    ['{step}\u009b', 'control character 155'],
    ['{step:/>9}', 'holds "/"'],
    ['{step:\n>9}', 'control character 10'],
    ['\ud800{step}', 'surrogate'],
    ['latest', 'kept for other things'],
    ['best', 'kept for other things'],
    ['manifest.json', 'kept for other things'],
    ['registry.json', 'kept for other things'],
    ['lost+found', 'kept for other things'],
    ['System Volume Information', 'kept for other things'],
    ['model.safetensors', 'ends with .safetensors'],
    ['{step}.safetensors', 'ends with .safetensors'],
    ['a'.repeat(225), '225 bytes'],
    [`{step}${'é'.repeat(113)}`, '226 bytes'],
  ])('%j is refused at once', (template, why) => {
    expect(thrown(() => parseNameTemplate(template), 'ERR_INVALID_NAME').message).toContain(why);
  });

  test.each([
    ['{step:.>9}', 'begins with a dot'],
    ['{step:200d}{step:200d}', '400 bytes'],
    ['{step:c}', 'holds "/"', 47],
    ['{step:c}', 'half a surrogate', 0xd800],
    ['{step:c}', 'character of the number 1114112', 0x110000],
    ['b{step:c}st', 'kept for other things', 101],
    ['{step}.safetensor{epoch:c}', 'ends with .safetensors', 1, 115],
  ])('%j is refused when its values make it so', (template, why, step = 3000, epoch = 3) => {
    const parsed = parseNameTemplate(template);
    const { message } = thrown(() => parsed.format({ step, epoch, metrics: {} }), 'ERR_INVALID_NAME');
    expect(message).toContain(why);
    expect(message).toContain('Change the template');
  });

  test('exactly 224 bytes are a name', () => {
    expect(name(`${'é'.repeat(110)}{step}`)).toHaveLength(114);
  });

  test('what comes out of any template is a plain file name', () => {
    const piece = fc.oneof(
      fc.constantFrom('{step}', '{epoch:04d}', '{loss:.3f}', '{loss:/>9}', '{step:c}', '{{', '}}', '..', '/', '.', 'best', '{step:.<5}'),
      fc.string({ maxLength: 6 }),
      fc.string({ unit: 'binary', maxLength: 3 }),
    );
    const values = fc.record({ step: fc.nat(), epoch: fc.nat(200), metrics: fc.record({ loss: fc.double() }) });
    let names = 0;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), values, (pieces, given) => {
        let made: string;
        try {
          made = name(pieces.join(''), given);
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
          expect((error as HoldfastError).code).toMatch(/^ERR_INVALID_(TEMPLATE|NAME)$/);
          return;
        }
        names++;
        expect(isFileName(made), made).toBe(true);
        expect(Buffer.byteLength(made)).toBeLessThanOrEqual(224);
      }),
      { numRuns: 2000 },
    );
    expect(names).toBeGreaterThan(200);
  });
});
