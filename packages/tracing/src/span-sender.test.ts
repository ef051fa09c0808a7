import { capturingLogger, eventually, recordingUpstream, type UpstreamOptions } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { createSpanSender } from './span-sender.ts';

const span = {
  ...{ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', parentId: undefined },
  ...{ name: 'GET', kind: 'server' as const, startMs: 1, endMs: 2, attributes: {} },
};

async function senderTo(answer: UpstreamOptions['answer']) {
  const collector = await recordingUpstream({ ...(answer && { answer }) });
  const log = capturingLogger();
  const sender = createSpanSender({ service: 'test', endpoint: collector.url, logger: log.logger });
  return { collector, sender, warnings: () => log.lines().filter(({ level }) => level === 40) };
}

test('logs once per outage that the collector refuses spans', async () => {
  const statuses = [400, 400, 200, 400];
  const { collector, sender, warnings } = await senderTo(
    (_request, res) => void res.writeHead(statuses[collector.requests.length - 1] ?? 500).end(),
  );
  for (const [sent] of statuses.entries()) {
    sender.send(span);
    await eventually(() => expect(collector.requests).toHaveLength(sent + 1));
  }
  await sender.close();
  await eventually(() => expect(warnings()).toHaveLength(2));
  expect(warnings()).toMatchObject(Array(2).fill({ msg: 'cannot send spans to the collector' }));
  await collector.close();
});

test('closes within two seconds while the collector does not answer', async () => {
  const { collector, sender } = await senderTo(() => {});
  sender.send(span);
  const startedAt = performance.now();
  await sender.close();
  expect(collector.requests).toHaveLength(1);
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  await collector.close();
});
