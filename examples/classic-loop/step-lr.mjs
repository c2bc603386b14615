/** A learning rate that falls in steps: multiplied by `gamma` after every `stepSize` epochs. */
export class StepLR {
  constructor(optimizer, { learningRate, stepSize, gamma }) {
    this.optimizer = optimizer;
    this.settings = { learningRate, stepSize, gamma };
    this.epoch = 0;
  }

  get learningRate() {
    const { learningRate, stepSize, gamma } = this.settings;
    return learningRate * gamma ** Math.floor(this.epoch / stepSize);
  }

  /** To be called after every epoch. */
  step() {
    this.epoch++;
    this.optimizer.setLearningRate(this.learningRate);
  }

  /** Plain JSON, for a checkpoint. */
  state() {
    return { ...this.settings, epoch: this.epoch };
  }

  load({ epoch, ...settings }) {
    this.settings = settings;
    this.epoch = epoch;
    this.optimizer.setLearningRate(this.learningRate);
  }
}
