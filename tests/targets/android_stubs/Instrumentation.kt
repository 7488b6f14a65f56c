package androidx.test.platform.app

import android.content.Context
import android.content.Folder
import java.io.File

class Instrumentation(val targetContext: Context)

object InstrumentationRegistry {
    fun getInstrumentation() = Instrumentation(Folder(File(System.getProperty("edgekit.bundle"))))
}
