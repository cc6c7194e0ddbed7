// What every plugin may call.

import { write } from "toolpost:plugin/log@1.0.0";

export class Operator {
  writeOperatorLog(level, message) {
    write(level, message);
  }
}
