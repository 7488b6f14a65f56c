plugins {
    id("com.android.library") version "8.7.3"
    id("org.jetbrains.kotlin.android") version "2.0.21"
}

android {
    namespace = "@NAMESPACE@"
    compileSdk = 35
    defaultConfig {
        minSdk = 24
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    // The interpreter maps the model's file: an asset that is compressed cannot be mapped.
    androidResources { noCompress += "tflite" }
    sourceSets["main"].assets.srcDirs("../model_pack/src/main/assets/model#group_other", "../golden")
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    kotlinOptions { jvmTarget = "11" }
}

dependencies {
    // The first release that has every operator of the model, in the versions that it uses.
    implementation("com.google.ai.edge.litert:litert:@LITERT@")
    implementation("com.google.ai.edge.litert:litert-api:@LITERT@")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
}
