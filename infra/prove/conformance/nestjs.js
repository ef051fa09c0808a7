import 'reflect-metadata';
import { requireIdentity, verifyIdentity } from '@countersign/identity/express';
import { All, Controller, Module, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { everyKind, identityJson, verifier } from './echo-service.js';

class EchoController {
  echo(req) {
    return identityJson(req.identity);
  }
}
// What decorators do in TypeScript.
Controller()(EchoController);
All('*path')(EchoController.prototype, 'echo', Object.getOwnPropertyDescriptor(EchoController.prototype, 'echo'));
Req()(EchoController.prototype, 'echo', 0);

class AppModule {}
Module({ controllers: [EchoController] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
app.use(verifyIdentity({ verifier }));
app.use(requireIdentity({ accept: everyKind }));
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
