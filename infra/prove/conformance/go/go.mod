module countersign.example/echo

go 1.24

require github.com/countersign/countersign/packages/verifiers/go v0.0.0

replace github.com/countersign/countersign/packages/verifiers/go => ../../../../packages/verifiers/go
