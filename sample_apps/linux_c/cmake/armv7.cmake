# 32-bit Arm with hardware floating point, by Debian's cross compiler:
# apt-get install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
