module countersign.example/service

go 1.22

require countersign.example/verifier v0.0.0

replace countersign.example/verifier => ../verifiers/go
