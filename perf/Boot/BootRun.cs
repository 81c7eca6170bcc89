using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Dbt.Perf.Boot;

/// <summary>What a boot to the prompt took.</summary>
/// <param name="CpuSeconds">User and system time of the process and all that it started.</param>
/// <param name="WallSeconds">Elapsed.</param>
internal readonly record struct BootTime(double CpuSeconds, double WallSeconds);

/// <summary>One program that boots the guest: started, watched until the prompt is there, and ended at once.</summary>
/// <param name="Name">Row of the table.</param>
/// <param name="Program">What to start.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="CacheFolder">Its user's cache folder, emptied before it starts; null where it keeps none.</param>
/// <param name="WarmUps">Boots whose caches it starts with, the folder being emptied before the first of them only; they end in good order.</param>
internal sealed partial record BootRun(string Name, string Program, IReadOnlyList<string> Arguments, string? CacheFolder, int WarmUps = 0)
{
    private const int Terminate = 15;
    private bool _isWarm;

    private const int TailBytes = 4096;

    // Busybox's shell asks the terminal where the cursor is once it has written its prompt.
    private const string CursorQuery = "\e[6n";

    /// <summary>Boots once.</summary>
    /// <param name="prompt">The console's output ends with this when the shell waits.</param>
    /// <param name="limit">When to give up.</param>
    /// <exception cref="BootFailure">The program can't be started, ended by itself, or did not come to the prompt; the message has its last output.</exception>
    public BootTime Run(string prompt, TimeSpan limit)
    {
        for (int i = 0; i < WarmUps && !_isWarm; i++)
        {
            Run(prompt, limit, empty: i == 0, inGoodOrder: true);
        }

        _isWarm = true;
        return Run(prompt, limit, empty: WarmUps == 0, inGoodOrder: false);
    }

    private BootTime Run(string prompt, TimeSpan limit, bool empty, bool inGoodOrder)
    {
        var start = new ProcessStartInfo(Program, Arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (CacheFolder is not null)
        {
            if (empty && Directory.Exists(CacheFolder))
            {
                Directory.Delete(CacheFolder, recursive: true);
            }

            start.Environment["XDG_CACHE_HOME"] = Directory.CreateDirectory(CacheFolder).FullName;
        }

        double cpuBefore = ChildrenCpuSeconds();
        long began = Stopwatch.GetTimestamp();
        using Process process = Start(start);
        var errors = new StringBuilder();
        process.ErrorDataReceived += (_, line) => errors.AppendLine(line.Data);
        process.BeginErrorReadLine();

        // Killed: the end of its output wakes the reader.
        using var timer = new Timer(_ => process.Kill(), null, limit, Timeout.InfiniteTimeSpan);
        (bool reached, string tail) = ReadUntil(process.StandardOutput.BaseStream, prompt);
        double wall = Stopwatch.GetElapsedTime(began).TotalSeconds;
        if (inGoodOrder)
        {
            // What it keeps is written when it ends.
            _ = Signal(process.Id, Terminate);
        }
        else
        {
            process.Kill();
        }

        process.WaitForExit();
        return reached ? new BootTime(ChildrenCpuSeconds() - cpuBefore, wall)
            : throw new BootFailure($"{Name}: no prompt within {limit.TotalSeconds:0} s, or it ended by itself; its last output:\n{tail}\n{errors}");
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new BootFailure($"{start.FileName} can't be started: {exception.Message}");
        }
    }

    private static (bool Reached, string Tail) ReadUntil(Stream output, string prompt)
    {
        var tail = new StringBuilder();
        byte[] chunk = new byte[TailBytes];
        int count;
        while ((count = output.Read(chunk)) > 0)
        {
            tail.Append(Encoding.Latin1.GetString(chunk, 0, count));
            tail.Remove(0, Math.Max(0, tail.Length - TailBytes));
            string text = tail.ToString();
            string line = text.EndsWith(CursorQuery, StringComparison.Ordinal) ? text[..^CursorQuery.Length] : text;
            if (line.EndsWith(prompt, StringComparison.Ordinal))
            {
                return (true, text);
            }
        }

        return (false, tail.ToString());
    }

    // Children that have ended, and theirs: .NET does not tell it of a process that is gone.
    private static unsafe double ChildrenCpuSeconds()
    {
        const int children = -1;
        long* usage = stackalloc long[18];
        return GetUsage(children, usage) == 0 ? usage[0] + usage[2] + ((usage[1] + usage[3]) / 1e6) : throw new InvalidOperationException("getrusage failed.");
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int number);

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static unsafe partial int GetUsage(int who, long* usage);
}
