{
  # For node-gyp and electron-rebuild; CMakeLists.txt is the build of record. An install never runs this by itself
  # ("gypfile": false): prebuilt files travel with the package.
  "variables": {
    "flags": ["-std=c++20", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-fexceptions"]
  },
  "target_defaults": {
    "include_dirs": ["native"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20"],
    "cflags_cc": ["<@(flags)"],
    "xcode_settings": { "CLANG_CXX_LANGUAGE_STANDARD": "c++20", "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
                        "OTHER_CPLUSPLUSFLAGS": ["<@(flags)"], "MACOSX_DEPLOYMENT_TARGET": "11.0" }
  },
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        { "target_name": "flatrank_avx2", "type": "static_library", "sources": ["<!@(node native/sources.mjs AVX2)"],
          "cflags_cc": ["-mavx2", "-mfma"], "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mfma"] } },
        { "target_name": "flatrank_avx512", "type": "static_library", "sources": ["<!@(node native/sources.mjs AVX512)"],
          "cflags_cc": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma"] } },
        { "target_name": "flatrank_vnni", "type": "static_library", "sources": ["<!@(node native/sources.mjs VNNI)"],
          "cflags_cc": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"] } }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        { "target_name": "flatrank_dotprod", "type": "static_library", "sources": ["<!@(node native/sources.mjs DOTPROD)"],
          "cflags_cc": ["-march=armv8.2-a+dotprod"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-march=armv8.2-a+dotprod"] } }
      ]
    }]
  ],
  "targets": [
    {
      "target_name": "flatrank",
      "sources": ["<!@(node native/sources.mjs CORE)", "<!@(node native/sources.mjs ADDON)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "conditions": [
        ["OS=='linux'", { "libraries": ["-ldl"] }],
        ["target_arch=='x64'", { "dependencies": ["flatrank_avx2", "flatrank_avx512", "flatrank_vnni"] }],
        ["target_arch=='arm64'", { "dependencies": ["flatrank_dotprod"], "sources": ["<!@(node native/sources.mjs NEON)"] }]
      ]
    }
  ]
}
