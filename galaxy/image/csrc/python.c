/* The image's `python3`: the interpreter is a shared library already, because Samba links to it. LIBPYTHON is its
 * file name. Loaded with global symbols, as extension modules expect of the program that started them. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	void *library = dlopen(LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);
	int (*python_main)(int, char **) = library ? (int (*)(int, char **))dlsym(library, "Py_BytesMain") : NULL;

	if (python_main == NULL) {
		fprintf(stderr, "python3: %s\n", dlerror());
		return 127;
	}
	return python_main(argc, argv);
}
