using System.Diagnostics;

namespace Dbt.Perf;

/// <summary>A program of the host's that waits for a byte, runs its kernel, and writes the result: no process is started for a run.</summary>
internal sealed class ServedProgram : IDisposable
{
    private readonly Process _process;
    private readonly Stream _told, _results;
    private readonly byte[] _result = new byte[4];

    /// <param name="program">Where it is; compiled with -DSERVED.</param>
    public ServedProgram(string program)
    {
        _process = Process.Start(new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        _told = _process.StandardInput.BaseStream;
        _results = _process.StandardOutput.BaseStream;
    }

    /// <summary>Runs the kernel once.</summary>
    /// <returns>Its result.</returns>
    public uint Once()
    {
        _told.WriteByte(1);
        _told.Flush();
        _results.ReadExactly(_result);
        return BitConverter.ToUInt32(_result);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _told.Dispose();
        _process.WaitForExit();
        _process.Dispose();
    }
}
