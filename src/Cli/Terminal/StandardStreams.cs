using Microsoft.Win32.SafeHandles;

namespace Dbt.Cli.Terminal;

/// <summary>
/// Standard input and output as plain byte streams. <see cref="Console"/>'s own do line editing on a terminal.
/// </summary>
internal static class StandardStreams
{
    /// <summary>Descriptor 0, unbuffered.</summary>
    public static Stream OpenInput() => new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);

    /// <summary>Descriptor 1, unbuffered.</summary>
    public static Stream OpenOutput() => new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
}
