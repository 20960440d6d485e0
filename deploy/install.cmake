# Runs at each installation, with DEPLOY (this folder) and CMAKE_INSTALL_PREFIX.
set(ETC "${CMAKE_INSTALL_PREFIX}/etc")
if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
  set(ETC "/etc") # where programs look for it
endif()
set(ROOT "$ENV{DESTDIR}")

function(install_file from to)
  file(READ "${DEPLOY}/${from}" TEXT)
  string(REPLACE "/usr/bin/" "${CMAKE_INSTALL_PREFIX}/bin/" TEXT "${TEXT}")
  string(REPLACE "/usr/share/" "${CMAKE_INSTALL_PREFIX}/share/" TEXT "${TEXT}")
  string(REPLACE "/etc/syncbus/" "${ETC}/syncbus/" TEXT "${TEXT}")
  message(STATUS "Installing: ${ROOT}${to}")
  file(WRITE "${ROOT}${to}" "${TEXT}")
endfunction()

set(UNITS "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
file(GLOB_RECURSE FILES RELATIVE "${DEPLOY}/systemd" "${DEPLOY}/systemd/*.service" "${DEPLOY}/systemd/*.target"
     "${DEPLOY}/systemd/*.conf")
foreach(FILE IN LISTS FILES)
  install_file("systemd/${FILE}" "${UNITS}/${FILE}")
endforeach()
install_file(systemd/syncbus.sysusers "${CMAKE_INSTALL_PREFIX}/lib/sysusers.d/syncbus.conf")

# The shipped configuration is always there to compare with; the one in use is its owner's once it is there.
install_file(syncbus.yaml "${CMAKE_INSTALL_PREFIX}/share/doc/syncbus/syncbus.yaml")
if(NOT EXISTS "${ROOT}${ETC}/syncbus/syncbus.yaml")
  install_file(syncbus.yaml "${ETC}/syncbus/syncbus.yaml")
endif()
