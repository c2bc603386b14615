/** The tensors of the models: their totals are published. */
import { describe, expect, test } from 'vitest';
import { llama3, MODELS, type Model, tensorsOfModel } from '../../src/bench/models.js';
import { bytesOf, elementsOf, equalTensors, scaleTensors } from '../../src/bench/workload.js';
import { thrown } from '../helpers/errors.js';

const modelNamed = (name: string) => MODELS.find((model) => model.name === name) as Model;
const elements = (tensors: Parameters<typeof bytesOf>[0]) => bytesOf(tensors) / 4;

describe('models', () => {
  test.each([
    ['mnist-mlp', 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10],
    ['resnet-50', 25_557_032],
    ['bert-base', 109_482_240],
    ['gpt2', 124_439_808],
    ['gpt2-medium', 354_823_168],
    ['gpt2-xl', 1_557_611_200],
    ['llama3-8b-shard', 8_030_261_248 / 8],
  ])('%s has %d parameters', (name, expected) => {
    expect(elements(modelNamed(name).parameters())).toBe(expected);
  });

  test('the whole Llama 3 8B', () => expect(elements(llama3(1))).toBe(8_030_261_248));

  test('ResNet-50 has 53 batch norms with running statistics', () => {
    expect(modelNamed('resnet-50').buffers()).toHaveLength(2 * 53);
    expect(elements(modelNamed('resnet-50').buffers())).toBe(53_120);
  });

  test.each(MODELS.map((model) => [model.name, model] as const))('%s with its optimizer: names differ, lengths are whole', (_, model) => {
    const tensors = tensorsOfModel(model);
    const trained = elements(model.parameters());
    expect(elements(tensors)).toBe((1 + model.slots.length) * trained + elements(model.buffers()));
    expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
    expect(tensors.filter((tensor) => !Number.isInteger(elementsOf(tensor)))).toEqual([]);
    expect(tensors.filter(({ role }) => role === 'optimizer')).toHaveLength(model.slots.length * model.parameters().length);
  });

  test('scaled, they keep their tensors and come near the size', () => {
    const whole = tensorsOfModel(modelNamed('gpt2'));
    const scaled = scaleTensors(whole, 2 ** 28);
    expect(scaled.map(({ name }) => name)).toEqual(whole.map(({ name }) => name));
    expect(Math.abs(bytesOf(scaled) / 2 ** 28 - 1)).toBeLessThan(0.01);
    expect(scaleTensors(whole, 1000).every((tensor) => elementsOf(tensor) >= 1)).toBe(true);
  });
});

describe('tensors of equal length', () => {
  test('have the bytes together', () => {
    const tensors = equalTensors(1002, 7);
    expect(tensors).toHaveLength(7);
    expect(bytesOf(tensors)).toBe(1000);
    expect(tensors.map(elementsOf)).toEqual([35, 35, 35, 35, 35, 35, 40]);
  });

  test('there are none without elements, and none of 2 GiB', () => {
    thrown(() => equalTensors(24, 7), 'ERR_INVALID_ARGUMENT');
    thrown(() => equalTensors(2 ** 32, 1), 'ERR_INVALID_ARGUMENT');
  });
});
