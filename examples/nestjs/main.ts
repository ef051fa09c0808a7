import 'reflect-metadata';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, userOf, verifyIdentity } from '@countersign/identity/express';
import { Controller, Get, Module, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request } from 'express';

@Controller('hello')
class HelloController {
  @Get()
  hello(@Req() req: Request) {
    return { hello: userOf(req).userId };
  }
}

@Module({ controllers: [HelloController] })
class AppModule {}

const keys = gatewayKeys({ url: process.env.GATEWAY_KEYS_URL ?? 'http://127.0.0.1:8090/.well-known/jwks.json' });
keys.start();
const app = await NestFactory.create(AppModule);
app.use(verifyIdentity({ verifier: createVerifier({ audience: 'my-service', keys, replay: memoryReplay() }) }));
app.use('/hello', requireIdentity());
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
