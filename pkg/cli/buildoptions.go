package cli

// buildOptions are the options of build: those of `podman build` that make sense
// with machines. A test holds them against what the build library knows.
func buildOptions() []buildOption {
	return []buildOption{
		// What is built.
		{"file", "f", listOption, "", "Take the instructions from this `file`, or from several, one after the other; - is standard input"},
		{"target", "", stringOption, "", "Build up to this `stage`"},
		{"build-arg", "", listOption, "", "Give an ARG its value, `NAME=VALUE`"},
		{"build-arg-file", "", listOption, "", "Take values for ARGs from this `file`"},
		{"build-context", "", listOption, "", "Name another context, `NAME=PATH`, for COPY --from and FROM"},
		{"from", "", stringOption, "", "Use this `image` in place of the first FROM's"},
		{"ignorefile", "", stringOption, "", "Leave out of the context what this `file` says"},
		{"env", "", listOption, "", "Set a variable in the image, `NAME=VALUE`"},
		{"unsetenv", "", listOption, "", "Leave this `variable` of the base image out"},
		{"unsetlabel", "", listOption, "", "Leave this `label` of the base image out"},
		{"unsetannotation", "", listOption, "", "Leave this `annotation` of the base image out"},
		{"inherit-labels", "", boolOption, "true", "Keep the labels of the base image"},
		{"inherit-annotations", "", boolOption, "true", "Keep the annotations of the base image"},
		{"compat-volumes", "", boolOption, "", "Undo what steps change in volumes of the image, as Docker's old builder"},
		{"skip-unused-stages", "", boolOption, "true", "Leave out stages the result does not need"},
		{"jobs", "", numberOption, "", "Build this `number` of stages at once"},
		{"cpp-flag", "", listOption, "", "Pass this `flag` to the C preprocessor, for files named *.in"},

		// The platform.
		{"platform", "", listOption, "", "Build for this platform, `OS/ARCH[/VARIANT]`; steps run on the host's architecture alone"},
		{"all-platforms", "", boolOption, "", "Build for all platforms of the base image"},
		{"arch", "", stringOption, "", "Build for this architecture, `ARCH`"},
		{"os", "", stringOption, "", "Build for this operating system, `OS`"},
		{"variant", "", stringOption, "", "Build for this `variant` of the architecture"},
		{"os-feature", "", listOption, "", "Note that the image needs this `feature` of the operating system"},
		{"os-version", "", stringOption, "", "Note that the image needs this `version` of the operating system"},

		// The result.
		{"tag", "t", listOption, "", "Give the image this `name`"},
		{"manifest", "", stringOption, "", "Add the image to this manifest list, `NAME`, which is made if there is none"},
		{"format", "", stringOption, "oci", "Write the image in this `format`: oci or docker"},
		{"iidfile", "", stringOption, "", "Write the image's id to this `file`"},
		{"output", "o", listOption, "", "Write the files of the result to a place, `type=local,dest=PATH`, in place of an image"},
		{"annotation", "", listOption, "", "Add an annotation to the image, `NAME=VALUE`"},
		{"label", "", listOption, "", "Add a label to the image, `NAME=VALUE`"},
		{"layer-label", "", listOption, "", "Add a label to the images between, `NAME=VALUE`"},
		{"identity-label", "", boolOption, "true", "Add the label that names the build library's version"},
		{"omit-history", "", boolOption, "", "Leave the history of the build out of the image"},
		{"created-annotation", "", boolOption, "true", "Add the annotation that says when the image was made"},
		{"timestamp", "", numberOption, "", "Give files and image this time, in `seconds` since 1970"},
		{"source-date-epoch", "", stringOption, "", "Give the image this time, in `seconds` since 1970"},
		{"rewrite-timestamp", "", boolOption, "", "Give files at most the time of --source-date-epoch"},
		{"squash", "", boolOption, "", "Make one layer of all that is new"},
		{"squash-all", "", boolOption, "", "Make one layer of everything, the base image included"},
		{"disable-compression", "D", boolOption, "true", "Do not compress layers"},
		{"sign-by", "", stringOption, "", "Sign the image with the GPG key of this `fingerprint`"},

		// The cache.
		{"layers", "", boolOption, "true", "Keep an image for each step, and use those there are"},
		{"no-cache", "", boolOption, "", "Run each step, also those whose image there is"},
		{"cache-from", "", listOption, "", "Look for images of steps in this `repository`, too"},
		{"cache-to", "", listOption, "", "Put images of steps into this `repository`, too"},
		{"cache-ttl", "", stringOption, "", "Use images of steps that are at most this old, a `duration`"},
		{"force-rm", "", boolOption, "", "Remove working containers also when the build fails"},
		{"rm", "", boolOption, "true", "Remove working containers after the build"},

		// Base images.
		{"pull", "", stringOption, "missing", "Fetch base images by this `policy`: always, missing, never, newer"},
		{"authfile", "", stringOption, "", "Take credentials from this `file`"},
		{"creds", "", stringOption, "", "Use these credentials, `USER[:PASSWORD]`"},
		{"cert-dir", "", stringOption, "", "Use the certificates in this `directory`"},
		{"tls-verify", "", boolOption, "true", "Want HTTPS and a certificate that is trusted"},
		{"retry", "", numberOption, "", "Try again this `number` of times"},
		{"retry-delay", "", stringOption, "", "Wait between, a `duration`"},
		{"decryption-key", "", listOption, "", "Decrypt base images with this `key`"},

		// What steps find.
		{"secret", "", listOption, "", "Show steps that mount it a secret, `id=ID,src=PATH`"},
		{"ssh", "", listOption, "", "Let steps that mount it use the keys of an agent, or some, `default|ID[=SOCKET|KEY,...]`"},
		{"volume", "v", listOption, "", "Show each step a directory of the host, `HOST:CONTAINER[:OPTIONS]`"},
		{"network", "", stringOption, "", "The steps' `network`: private, or none"},
		{"add-host", "", listOption, "", "Add a line to /etc/hosts, `HOST:ADDRESS`"},
		{"dns", "", listOption, "", "Use this name `server`"},
		{"dns-option", "", listOption, "", "Set this `option` in resolv.conf"},
		{"dns-search", "", listOption, "", "Search this `domain`"},
		{"no-hosts", "", boolOption, "", "Leave /etc/hosts to the image"},
		{"no-hostname", "", boolOption, "", "Leave /etc/hostname to the image"},
		{"http-proxy", "", boolOption, "true", "Pass the variables for proxies on"},
		{"stdin", "", boolOption, "", "Pass standard input on to steps"},
		{"cap-add", "", listOption, "", "Give steps this `capability`"},
		{"cap-drop", "", listOption, "", "Take this `capability` from steps"},
		{"group-add", "", listOption, "", "Make steps members of this `group`, too"},
		{"security-opt", "", listOption, "", "Set a security `option`: no-new-privileges, mask=PATH, unmask=PATH"},
		{"memory", "m", stringOption, "", "Bound the memory of a step to this `size`; its machine gets as much and 128 MiB"},
		{"shm-size", "", stringOption, "", "Make /dev/shm of this `size`"},
		{"ulimit", "", listOption, "", "Set a limit, `NAME=SOFT[:HARD]`"},

		// What is said.
		{"quiet", "q", boolOption, "", "Print the image's id alone"},
		{"logfile", "", stringOption, "", "Write what is said to this `file`"},
		{"logsplit", "", boolOption, "", "Write a file for each platform"},
	}
}
