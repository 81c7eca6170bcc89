using System.Diagnostics;
using Dbt.Translator;
using Dbt.Xen;
using Iced.Intel;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>
/// A hostile domain of some hundred pages: scripts that its processors carry out, pages for what hypercalls point at, and pages to play with.
/// Addresses are linear ones of a paravirtual domain and guest-physical ones of a PVH domain.
/// </summary>
internal abstract unsafe class Attacker : IDisposable
{
    /// <summary>Pages to play with, scripts, programs, stacks, hypercall arguments, the shared_info page.</summary>
    public const uint Play = 0, PlayEnd = 0x4000, Scripts = 0x4000, Programs = 0x10000, Stacks = 0x20000, Arguments = 0x34000, ArgumentsEnd = 0x38000,
        SharedInfo = 0x3F000;

    /// <summary>Where page tables are mapped read-only (paravirtual), the first frame of the grant table, and more pages.</summary>
    public const uint Tables = 0x40000, GrantFrame = 0x48000, More = 0x50000, MoreEnd = 0x58000;

    /// <summary>Most processors, and pages that ring back ends use.</summary>
    public const int MostVcpus = 2;

    /// <summary>The pages of the xenstore and console rings.</summary>
    public const uint StoreRing = 0x2A000, ConsoleRing = 0x2B000;

    // Milliseconds from when on it is of interest what an attacker is at that was told to stop.
    private const int SlowStop = 500, LongestStop = 60_000;
    private const uint Positions = 0x33000;
    private bool _started;

    /// <summary>The domain.</summary>
    public abstract Domain Domain { get; }

    /// <summary>Frame numbers as the guest knows them, of pages that it has.</summary>
    public abstract IReadOnlyList<uint> Pages { get; }

    /// <summary>Frame numbers of its page tables; none where the hypervisor knows of none.</summary>
    public abstract IReadOnlyList<uint> TableFrames { get; }

    /// <summary>Host address of a byte of the layout above, whatever the guest has made of that address since.</summary>
    public abstract byte* At(uint address);

    /// <summary>A word of the layout above.</summary>
    public ref uint Word(uint address) => ref *(uint*)At(address);

    /// <summary>Where a processor's script is.</summary>
    public static uint ScriptOf(int processor) => Scripts + ((uint)processor * AttackScript.Steps * AttackScript.StepBytes);

    /// <summary>Whether it crashed.</summary>
    public bool Crashed => Domain.CrashReport is not null;

    /// <summary>Starts its processors.</summary>
    public void Start()
    {
        _started = true;
        foreach (Vcpu vcpu in Domain.Vcpus)
        {
            // A second one of a PVH domain waits for the start-up IPI that a script may send.
            if (vcpu.IsInitialised)
            {
                vcpu.Start();
            }
        }
    }

    /// <summary>Waits until it has come to its end or the time is over, and stops it.</summary>
    public void Finish(FuzzNotes notes, int milliseconds)
    {
        if (!_started)
        {
            return;
        }

        Domain.Stopped.Wait(milliseconds);
        long begin = Stopwatch.GetTimestamp();
        Domain.Shutdown(ShutdownReason.Poweroff);
        var stop = Task.Run(() =>
        {
            foreach (Vcpu vcpu in Domain.Vcpus)
            {
                vcpu.Stop();
            }
        });
        string doing = stop.Wait(SlowStop) ? "" : Doing();
        stop.Wait();
        long took = (long)Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        notes.Ended(Crashed, took, doing);
        FuzzFinding.Unless(took < LongestStop, $"the attacker took {took} ms to stop: {doing}");
        if (Domain.CrashReport is { } report)
        {
            notes.Met("crash", string.GetHashCode(Kind(report.Reason), StringComparison.Ordinal));
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Domain.Shutdown(ShutdownReason.Poweroff);
        Domain.Dispose();
    }

    /// <summary>Writes a processor's program.</summary>
    protected uint AssembleProgram(int processor, bool translated)
    {
        uint program = ProgramOf(processor);
        Assemble(program, c => AttackScript.Assemble(c, translated, processor, ScriptOf(processor), Positions + ((uint)processor * 16), StackOf(processor), SharedInfo));
        return program;
    }

    /// <summary>Where a processor's program is, whose first instruction is also the handler of everything.</summary>
    protected static uint ProgramOf(int processor) => Programs + ((uint)processor * 0x1000);

    /// <summary>End of a processor's stack.</summary>
    protected static uint StackOf(int processor) => Stacks + ((uint)processor * 0x2000);

    /// <summary>Assembles code to an address, within its page.</summary>
    protected void Assemble(uint address, Action<Assembler> write)
    {
        var assembler = new Assembler(32);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), address);
        if ((address & 0xFFF) + stream.Length > 4096)
        {
            throw new InvalidOperationException($"The code at {address:x} is longer than its page.");
        }

        stream.ToArray().CopyTo(new Span<byte>(At(address), (int)stream.Length));
    }

    /// <summary>How its code is executed.</summary>
    protected static EngineOptions Options(EngineKind engine) => new() { Kind = engine, WarmUp = 2, BackgroundCompile = false };

    private string Doing() => string.Join(", ", Domain.Vcpus.Select(vcpu =>
        $"{(Dbt.Translator.Diagnostics.ProcessorActivity)(byte)vcpu.State->Doing} at {vcpu.State->Eip:x} of {Convert.ToHexStringLower(new Span<byte>(At(vcpu.State->Eip & 0x1FFFF), 16))} after {vcpu.Hypercalls.Last ?? "no hypercall"}, "
        + $"registers {string.Join(' ', Enumerable.Range(0, 8).Select(i => vcpu.State->Gpr[i].ToString("x")))}"));

    // Without the numbers that differ each time.
    private static string Kind(string reason) => string.Concat(reason.Where(static letter => !char.IsAsciiHexDigit(letter)));
}
