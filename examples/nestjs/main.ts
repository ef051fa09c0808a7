import 'reflect-metadata';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { requireIdentity, userOf, verifyIdentity } from '@countersign/identity/express';
import { Controller, Get, Module, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
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
const verifier = createVerifier({ audience: 'my-service', keys, replay: memoryReplay(), agreement: 'memory' });
const app = await NestFactory.create<NestExpressApplication>(AppModule);
// By default, Express ignores case and a slash at the end, but the gateway does not.
app.enable('strict routing');
app.enable('case sensitive routing');
app.use(verifyIdentity({ verifier }));
app.use('/hello', requireIdentity());
await app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
