// The few classes of Android and LiteRT that the app uses, as far as it uses them: to compile it.
package android.content

import java.io.Closeable
import java.io.FileDescriptor
import java.io.InputStream

abstract class Context {
    abstract val assets: AssetManager
}

abstract class AssetManager {
    abstract fun open(name: String): InputStream
    abstract fun openFd(name: String): AssetFileDescriptor
}

abstract class AssetFileDescriptor : Closeable {
    abstract val fileDescriptor: FileDescriptor
    abstract val startOffset: Long
    abstract val declaredLength: Long
}
