/*
 * Documents by path, as a command line names them: a file, "-", or a folder, whose files that end
 * in .yaml, .yml or .json are read in the order of their names, as kubectl does. Folders inside it
 * are not looked into.
 */
#ifndef DPUMESH_DOC_FOLDER_H
#define DPUMESH_DOC_FOLDER_H

#include "doc/document.h"

/* As documents_load() of the file, or of each file of the folder; the first errno counts. One
 * without such files is a problem. */
int documents_load_path(const char *path, struct documents *documents, struct problems *problems);

#endif
