/** Tensors of well-known models, with what their optimizers keep for every parameter. Shapes are PyTorch's, all of float32. */
import type { TensorShape } from './workload.js';

/** A model as it is saved while it is trained. */
export interface Model {
  readonly name: string;
  readonly title: string;
  /** Trainable parameters of the whole model, or of the shard. */
  readonly parameters: () => readonly TensorShape[];
  /** What is saved and not trained, such as running statistics. */
  readonly buffers: () => readonly TensorShape[];
  /** What the optimizer keeps for each parameter: Adam two moments, SGD its momentum. */
  readonly slots: readonly string[];
}

const ADAM = ['exp_avg', 'exp_avg_sq'];
const SGD = ['momentum_buffer'];

const none = () => [];

function tensor(name: string, ...shape: number[]): TensorShape {
  return { name, shape };
}

function linear(name: string, inputs: number, outputs: number): TensorShape[] {
  return [tensor(`${name}.weight`, outputs, inputs), tensor(`${name}.bias`, outputs)];
}

function norm(name: string, width: number): TensorShape[] {
  return [tensor(`${name}.weight`, width), tensor(`${name}.bias`, width)];
}

function times<T>(count: number, make: (i: number) => readonly T[]): T[] {
  return Array.from({ length: count }, (_, i) => make(i)).flat();
}

function mnist(): TensorShape[] {
  return [...linear('fc1', 784, 512), ...linear('fc2', 512, 256), ...linear('fc3', 256, 10)];
}

/** A convolution without bias and its batch norm's width. */
interface Convolution {
  readonly name: string;
  readonly norm: string;
  readonly shape: readonly [outputs: number, inputs: number, height: number, width: number];
}

/** The bottleneck blocks of ResNet-50: 3, 4, 6 and 3 of them. */
function resnetConvolutions(): Convolution[] {
  const list: Convolution[] = [{ name: 'conv1', norm: 'bn1', shape: [64, 3, 7, 7] }];
  let inputs = 64;
  for (const [i, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 * 2 ** i;
    for (let block = 0; block < blocks; block++) {
      const prefix = `layer${i + 1}.${block}`;
      const conv = (n: number, ...shape: Convolution['shape']) => ({ name: `${prefix}.conv${n}`, norm: `${prefix}.bn${n}`, shape });
      list.push(conv(1, width, inputs, 1, 1), conv(2, width, width, 3, 3), conv(3, 4 * width, width, 1, 1));
      if (block === 0) {
        list.push({ name: `${prefix}.downsample.0`, norm: `${prefix}.downsample.1`, shape: [4 * width, inputs, 1, 1] });
      }
      inputs = 4 * width;
    }
  }
  return list;
}

function resnet50(): TensorShape[] {
  const layers = resnetConvolutions().flatMap(({ name, norm: bn, shape }) => [tensor(`${name}.weight`, ...shape), ...norm(bn, shape[0])]);
  return [...layers, ...linear('fc', 2048, 1000)];
}

function resnet50Buffers(): TensorShape[] {
  return resnetConvolutions().flatMap(({ norm: bn, shape: [width] }) => [
    tensor(`${bn}.running_mean`, width),
    tensor(`${bn}.running_var`, width),
  ]);
}

function bertBase(): TensorShape[] {
  const width = 768;
  const layer = (i: number) => {
    const prefix = `encoder.layer.${i}`;
    return [
      ...['query', 'key', 'value'].flatMap((name) => linear(`${prefix}.attention.self.${name}`, width, width)),
      ...linear(`${prefix}.attention.output.dense`, width, width),
      ...norm(`${prefix}.attention.output.LayerNorm`, width),
      ...linear(`${prefix}.intermediate.dense`, width, 4 * width),
      ...linear(`${prefix}.output.dense`, 4 * width, width),
      ...norm(`${prefix}.output.LayerNorm`, width),
    ];
  };
  return [
    tensor('embeddings.word_embeddings.weight', 30522, width),
    tensor('embeddings.position_embeddings.weight', 512, width),
    tensor('embeddings.token_type_embeddings.weight', 2, width),
    ...norm('embeddings.LayerNorm', width),
    ...times(12, layer),
    ...linear('pooler.dense', width, width),
  ];
}

/** The head shares the token embedding's weights, so it is not saved again. */
function gpt2(layers: number, width: number): TensorShape[] {
  // GPT-2 keeps its matrices as [inputs, outputs].
  const conv1d = (name: string, inputs: number, outputs: number) => [
    tensor(`${name}.weight`, inputs, outputs),
    tensor(`${name}.bias`, outputs),
  ];
  const block = (i: number) => [
    ...norm(`h.${i}.ln_1`, width),
    ...conv1d(`h.${i}.attn.c_attn`, width, 3 * width),
    ...conv1d(`h.${i}.attn.c_proj`, width, width),
    ...norm(`h.${i}.ln_2`, width),
    ...conv1d(`h.${i}.mlp.c_fc`, width, 4 * width),
    ...conv1d(`h.${i}.mlp.c_proj`, 4 * width, width),
  ];
  return [tensor('wte.weight', 50257, width), tensor('wpe.weight', 1024, width), ...times(layers, block), ...norm('ln_f', width)];
}

/** One of `shards` equal parts of every matrix and vector, cut along its first dimension, as sharded training keeps it. */
export function llama3(shards: number): TensorShape[] {
  const width = 4096;
  const hidden = 14336;
  const keyValue = 1024;
  const part = (name: string, first: number, ...rest: number[]) => tensor(name, first / shards, ...rest);
  const layer = (i: number) => [
    part(`layers.${i}.self_attn.q_proj.weight`, width, width),
    part(`layers.${i}.self_attn.k_proj.weight`, keyValue, width),
    part(`layers.${i}.self_attn.v_proj.weight`, keyValue, width),
    part(`layers.${i}.self_attn.o_proj.weight`, width, width),
    part(`layers.${i}.mlp.gate_proj.weight`, hidden, width),
    part(`layers.${i}.mlp.up_proj.weight`, hidden, width),
    part(`layers.${i}.mlp.down_proj.weight`, width, hidden),
    part(`layers.${i}.input_layernorm.weight`, width),
    part(`layers.${i}.post_attention_layernorm.weight`, width),
  ];
  return [
    part('embed_tokens.weight', 128256, width),
    ...times(32, layer),
    part('norm.weight', width),
    part('lm_head.weight', 128256, width),
  ];
}

/** In the order of their size. */
export const MODELS: readonly Model[] = [
  { name: 'mnist-mlp', title: 'MNIST MLP with Adam', parameters: mnist, buffers: none, slots: ADAM },
  { name: 'resnet-50', title: 'ResNet-50 with SGD and momentum', parameters: resnet50, buffers: resnet50Buffers, slots: SGD },
  { name: 'bert-base', title: 'BERT base, uncased, with Adam', parameters: bertBase, buffers: none, slots: ADAM },
  { name: 'gpt2', title: 'GPT-2 small with Adam', parameters: () => gpt2(12, 768), buffers: none, slots: ADAM },
  { name: 'gpt2-medium', title: 'GPT-2 medium with Adam', parameters: () => gpt2(24, 1024), buffers: none, slots: ADAM },
  { name: 'gpt2-xl', title: 'GPT-2 XL with Adam', parameters: () => gpt2(48, 1600), buffers: none, slots: ADAM },
  {
    name: 'llama3-8b-shard',
    title: 'one of eight shards of Llama 3 8B with Adam',
    parameters: () => llama3(8),
    buffers: none,
    slots: ADAM,
  },
];

/** Everything that a checkpoint of `model` holds: parameters, buffers, and the optimizer's slots of every parameter. */
export function tensorsOfModel({ parameters, buffers, slots }: Model): TensorShape[] {
  const trained = parameters();
  const optimizer = slots.flatMap((slot) =>
    trained.map(({ name, shape }) => ({ name: `${name}.${slot}`, shape, role: 'optimizer' as const })),
  );
  return [...trained, ...buffers(), ...optimizer];
}
