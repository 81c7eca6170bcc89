using System.Security.Cryptography;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>
/// A paravirtual domain that runs pieces of code in ring 3, each several times with registers of its own. A piece ends at its end or at a
/// fault; either way its registers are added to a sum, and the next one begins.
/// </summary>
internal sealed unsafe class CodeAttacker : IDisposable
{
    private const uint Loads = SmallDomain.Data, Sum = SmallDomain.Arguments, Round = SmallDomain.Arguments + 64;
    private const int Rounds = 12, LoadBytes = 32, PieceSpacing = 256;
    private const int SetTrapTable = 0, StackSwitchCall = 3, UpdateVaMappingCall = 14, EndVector = 0x90;
    private const uint TimeStampDisable = 4;
    private static readonly uint[] s_play = [0x1000, 0x2FF8, 0x4000, 0x5800, 0x7FFC, 0x9000];
    private readonly SmallDomain _small;

    public CodeAttacker(FuzzArena arena, EngineKind engine, byte[][] pieces, int seed)
    {
        _small = new SmallDomain(new EngineOptions { Kind = engine, WarmUp = 1, BackgroundCompile = false }, hypervisor: arena.Hypervisor);
        var random = new Random(seed);
        for (uint page = 0; page < 16; page++)
        {
            random.NextBytes(new Span<byte>(_small.At(page << 12), 4096));
        }

        // Registers of each piece, the stack pointer left out: now a number, now a pointer.
        for (uint i = 0; i < pieces.Length; i++)
        {
            for (uint register = 0; register < 8; register++)
            {
                _small.Word(Loads + (i * LoadBytes) + (register * 4)) = random.Next(3) == 0 ? (uint)random.Next() : s_play[random.Next(s_play.Length)] + (uint)random.Next(64);
            }

            uint at = SmallDomain.User + (i * PieceSpacing);
            pieces[i].CopyTo(new Span<byte>(_small.At(at), pieces[i].Length));
            new byte[] { 0xCD, EndVector }.CopyTo(new Span<byte>(_small.At(at + (uint)pieces[i].Length), 2));
        }

        _small.Assemble(SmallDomain.Code, c => Kernel(c, pieces.Length));
        _small.Assemble(SmallDomain.Handlers, Handler);
        SetTraps();
        LeaveNoClock();
    }

    private Domain Domain => _small.Domain;

    /// <summary>Whether it came to its end by itself.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Starts it.</summary>
    public void Start() => _small.Vcpu.Start();

    /// <summary>Waits for its end, and stops it when the time is over.</summary>
    public void Finish(FuzzNotes notes, int milliseconds)
    {
        IsComplete = Domain.Stopped.Wait(milliseconds);
        Domain.Shutdown(ShutdownReason.Poweroff);
        _small.Vcpu.Stop();
        notes.Ended(Domain.CrashReport is not null, 0, "");
    }

    /// <summary>What it came to.</summary>
    public string Describe()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (uint page = 0; page < 16; page++)
        {
            hash.AppendData(new ReadOnlySpan<byte>(_small.At(page << 12), 4096));
        }

        return $"{Domain.CrashReport?.Reason} sums {string.Join(' ', Enumerable.Range(0, 12).Select(i => _small.Word(Sum + ((uint)i * 4)).ToString("x8")))} memory {Convert.ToHexStringLower(hash.GetHashAndReset())}";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Domain.Dispose();
        _small.Dispose();
    }

    private void SetTraps()
    {
        uint at = SmallDomain.StackTop - 0x1000;
        uint i = 0;
        foreach (uint vector in (uint[])[0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 16, 17, 19, EndVector])
        {
            uint level = vector is EndVector or 3 or 4 ? 3u : 0;
            _small.Word(at + (i * 8)) = vector | (level << 8) | ((uint)Layout.FlatRing1Cs << 16);
            _small.Word(at + (i * 8) + 4) = SmallDomain.Handlers;
            i++;
        }

        (_small.Word(at + (i * 8)), _small.Word(at + (i * 8) + 4)) = (0, 0);
        _ = HypercallDispatch.Call(_small.Vcpu, SetTrapTable, new HypercallArguments(at, 0, 0, 0, 0, 0));
        _ = HypercallDispatch.Call(_small.Vcpu, StackSwitchCall, new HypercallArguments(Layout.FlatRing1Ds, SmallDomain.KernelStackTop, 0, 0, 0, 0));
    }

    // Jumps end anywhere, so code that nobody looked at runs too, kernel code that a piece wrote over among it. What it could tell the time by
    // would make it differ from run to run: shared_info, which it can read and even run, and the time-stamp counter.
    private void LeaveNoClock()
    {
        _ = HypercallDispatch.Call(_small.Vcpu, UpdateVaMappingCall, new HypercallArguments(SmallDomain.SharedInfo, 0, 0, 0, 0, 0));
        _small.Cpu->Cr4 |= TimeStampDisable;
    }

    // Starts piece [Round] mod pieces, or powers off.
    private static void Kernel(Assembler c, int pieces)
    {
        Iced.Intel.Label more = c.CreateLabel();
        c.mov(esp, SmallDomain.KernelStackTop);
        c.mov(eax, __dword_ptr[Round]);
        c.cmp(eax, pieces * Rounds);
        c.jb(more);
        SmallDomain.PowerOff(c);
        c.Label(ref more);
        c.inc(__dword_ptr[Round]);
        c.xor(edx, edx);
        c.mov(ecx, pieces);
        c.div(ecx);
        c.mov(eax, edx);
        c.shl(edx, 8);
        c.add(edx, SmallDomain.User);
        c.shl(eax, 5);
        c.add(eax, Loads);
        c.push(Layout.FlatRing3Ds);
        c.push(SmallDomain.UserStackTop - 0x800);
        c.push(0x202);
        c.push(Layout.FlatRing3Cs);
        c.push(edx);
        foreach (uint register in (uint[])[0, 1, 2, 3, 5, 6, 7])
        {
            c.push(__dword_ptr[eax + (register * 4)]);
        }

        c.mov(ecx, Layout.FlatRing3Ds);
        c.mov(ds, ecx);
        c.mov(es, ecx);
        c.pop(edi);
        c.pop(esi);
        c.pop(ebp);
        c.pop(ebx);
        c.pop(edx);
        c.pop(ecx);
        c.pop(eax);
        c.iretd();
    }

    // Adds the registers, the flags that are defined, and where it stopped.
    private static void Handler(Assembler c)
    {
        c.pushad();
        c.mov(eax, Layout.FlatRing1Ds);
        c.mov(ds, eax);
        c.mov(es, eax);
        c.cld();
        // The eight registers, whatever frame lies above them.
        for (uint i = 0; i < 8; i++)
        {
            if (i != 3)
            {
                c.mov(eax, __dword_ptr[esp + (i * 4)]);
                c.add(__dword_ptr[Sum + (i * 4)], eax);
                c.rol(__dword_ptr[Sum + (i * 4)], 5);
            }
        }

        // The frame ends at the top of the stack: EIP, CS, EFLAGS, ESP, SS.
        c.mov(eax, __dword_ptr[SmallDomain.KernelStackTop - 20]);
        c.add(__dword_ptr[Sum + 32], eax);
        c.rol(__dword_ptr[Sum + 32], 7);
        c.mov(eax, __dword_ptr[SmallDomain.KernelStackTop - 8]);
        c.add(__dword_ptr[Sum + 36], eax);
        c.mov(eax, SmallDomain.Code);
        c.jmp(eax);
    }
}
