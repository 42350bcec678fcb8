package cli

import (
	"exigo/internal/config"
	"exigo/internal/option"
)

func testMain() *config.Main { return &config.Main{} }

func splitList(text string) []string { return option.SplitList(text) }
