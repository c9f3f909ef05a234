// Builds the Go programs before the first test: on a machine that never built one, that takes longer than a test may.

import { buildGoTool } from './go-tool.ts';

export default async function buildGoTools(): Promise<void> {
  for (const name of ['sumdb', 'xmod', 'xzip']) await buildGoTool(name);
}
