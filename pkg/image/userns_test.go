package image

func testChild(what string) int { return 0 }
