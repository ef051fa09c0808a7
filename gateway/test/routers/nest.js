import 'reflect-metadata';
import { All, Controller, Header, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';

// Decorators as calls, because Node runs this file as it is.
class Routes {}
for (const [handler, path] of [
  ['report', 'reports/:id'],
  ['reports', 'reports'],
  ['health', 'healthz'],
  ['all', '*all'],
]) {
  Object.defineProperty(Routes.prototype, handler, { value: () => '', configurable: true });
  const descriptor = Object.getOwnPropertyDescriptor(Routes.prototype, handler);
  for (const decorate of [All(path), Header('x-handler', handler)]) decorate(Routes.prototype, handler, descriptor);
}
Controller()(Routes);
class Root {}
Module({ controllers: [Routes] })(Root);
const app = await NestFactory.create(Root, { logger: false });
await app.listen(0, '127.0.0.1');
process.stdout.write(`listening on ${app.getHttpServer().address().port}.`);
