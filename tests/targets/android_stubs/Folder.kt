// A context whose assets are the files of a bundle, as its Gradle module names them.
package android.content

import java.io.File
import java.io.FileInputStream
import java.io.InputStream

class Folder(private val root: File) : Context() {
    override val assets = object : AssetManager() {
        override fun open(name: String): InputStream = File(root, "golden/$name").inputStream()

        override fun openFd(name: String): AssetFileDescriptor {
            val file = File(root, "model_pack/src/main/assets/model#group_other/$name")
            val stream = FileInputStream(file)
            return object : AssetFileDescriptor() {
                override val fileDescriptor = stream.fd
                override val startOffset = 0L
                override val declaredLength = file.length()

                override fun close() = stream.close()
            }
        }
    }
}
