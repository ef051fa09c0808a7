<?php

declare(strict_types=1);

require 'Lcobucci/JWT/autoload.php';
require __DIR__ . '/identity-token.php';
require __DIR__ . '/bound-request.php';

try {
    $claims = verifyToken($_SERVER['HTTP_COUNTERSIGN_TOKEN'] ?? '');
    $body = str_starts_with($_SERVER['REQUEST_URI'], '/stream') ? null : file_get_contents('php://input');
    $isBound = isForRequest($claims, $_SERVER, $body);
    http_response_code($isBound ? 200 : 401);
    echo $isBound ? $claims['user_id'] : 'another request';
} catch (Lcobucci\JWT\Exception $refused) {
    http_response_code(401);
    echo $refused->getMessage();
} catch (Throwable $broken) {
    http_response_code(500);
    echo $broken;
}
