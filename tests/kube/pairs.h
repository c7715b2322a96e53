/* Two client certificates with their keys (Ed25519, so that they are short; for a hundred years).
 */
#ifndef DPUMESH_TESTS_KUBE_PAIRS_H
#define DPUMESH_TESTS_KUBE_PAIRS_H

#define CERT_ONE                                                                                   \
    "-----BEGIN CERTIFICATE-----\n"                                                                \
    "MIIBLDCB36ADAgECAhQatP5rKNTOQ5jl1npgIAbwQNr+6DAFBgMrZXAwDjEMMAoG\n"                           \
    "A1UEAwwDb25lMCAXDTI2MTEyMzE1MjI1NVoYDzIxMjYxMDMwMTUyMjU1WjAOMQww\n"                           \
    "CgYDVQQDDANvbmUwKjAFBgMrZXADIQA5fjQW1tUQCpU+WOX8/EkNQhbKfrmYYF04\n"                           \
    "I6lFjxOJ8aNNMEswHQYDVR0OBBYEFJ7XGyQTCZO7pPlVZjoPiFU5xbPyMB8GA1Ud\n"                           \
    "IwQYMBaAFJ7XGyQTCZO7pPlVZjoPiFU5xbPyMAkGA1UdEwQCMAAwBQYDK2VwA0EA\n"                           \
    "mJsYIYDM7Zl6sbyYXjhQRt5lQDQMRcrkP1czF7DkLYbosY6W51RIH48e0JKLIG4C\n"                           \
    "pgVrVzVLmZaza4kB74lwDg==\n"                                                                   \
    "-----END CERTIFICATE-----\n"
#define KEY_ONE                                                                                    \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIIc+i/loLONxYex4L9Jei8ORAk1ZW+yiAjKH9+8Va2wS\n"                           \
    "-----END PRIVATE KEY-----\n"

#define CERT_TWO                                                                                   \
    "-----BEGIN CERTIFICATE-----\n"                                                                \
    "MIIBLDCB36ADAgECAhRCuuvsd8pveOzLfagu8/Xr658vDzAFBgMrZXAwDjEMMAoG\n"                           \
    "A1UEAwwDdHdvMCAXDTI2MTEyMzE1MjI1NVoYDzIxMjYxMDMwMTUyMjU1WjAOMQww\n"                           \
    "CgYDVQQDDAN0d28wKjAFBgMrZXADIQB5TKWDxRVofzMaeGXE3WXCt4PdhInPOUf7\n"                           \
    "cEM1WOlkeKNNMEswHQYDVR0OBBYEFC7XxCft9GSFtFaEbfL+DODtV4qCMB8GA1Ud\n"                           \
    "IwQYMBaAFC7XxCft9GSFtFaEbfL+DODtV4qCMAkGA1UdEwQCMAAwBQYDK2VwA0EA\n"                           \
    "W3rZ9uUu50cVxf8DqzA6sTmDQ91kUAOgIbMEry2RMV2l16AfUzKvhhMSAVYOa4ff\n"                           \
    "eGXxZrH5FdmweLc5gWFcAw==\n"                                                                   \
    "-----END CERTIFICATE-----\n"
#define KEY_TWO                                                                                    \
    "-----BEGIN PRIVATE KEY-----\n"                                                                \
    "MC4CAQAwBQYDK2VwBCIEIOqwydp2tiyNVph9Y1ejLid53b1UMHoYl4XaMZ4BTYAl\n"                           \
    "-----END PRIVATE KEY-----\n"

#endif
