using Microsoft.Win32.SafeHandles;

namespace Dbt.Cli.Terminal;

/// <summary>Standard input and output as plain byte streams.</summary>
internal static class StandardStreams
{
    /// <summary>Descriptor 0. <see cref="Console"/>'s own stream does line editing on a terminal, so that is opened as a file.</summary>
    public static Stream OpenInput() => Console.IsInputRedirected
        ? Console.OpenStandardInput()
        : new FileStream(new SafeFileHandle(0, ownsHandle: false), FileAccess.Read, bufferSize: 0);

    /// <summary>
    /// Descriptor 1, unbuffered. A <see cref="FileStream"/> would keep a file position of its own, and overwrite what others write to the
    /// same file.
    /// </summary>
    public static Stream OpenOutput() => Console.OpenStandardOutput();
}
