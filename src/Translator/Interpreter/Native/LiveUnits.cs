using System.Runtime.InteropServices;
using Dbt.Translator.Emit;
using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// Host code that puts the guest's floating-point control into the host's own registers, and takes it back. Translated code calls it at
/// its entry and as its last act, never our own code: a garbage collector that wants the thread to stop may put code of the
/// runtime behind any managed return, and that must not run with the guest's rounding mode, nor add to its exception flags. Only where
/// the guest has masked all exceptions: translated code then never raises one.
/// </summary>
internal static unsafe class LiveUnits
{
    private const int SimdMasks = 0x1F80;
    private const int X87Masks = 0x3F;
    private const int CodeBytes = 4096;
    private const int Mxcsr = 24;

    private static readonly byte* Code = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? HostMemory.Reserve(CodeBytes, executable: true) : null;

    /// <summary>Whether there is such code for this host.</summary>
    public static bool IsSupported => Code != null;

    /// <summary>int (CpuState*, LiveUnit): makes units live; 0 where the guest's masks do not allow it, and nothing has changed then.</summary>
    public static nint ActivateCode { get; } = Assemble(0, WriteActivate);

    /// <summary>void (CpuState*): takes back what is live.</summary>
    public static nint HarvestCode { get; } = Assemble(CodeBytes / 2, WriteHarvest);

    /// <summary>void (CpuState*): takes back the x87 unit, if it is live.</summary>
    public static nint HarvestX87Code { get; } = Assemble(CodeBytes * 3 / 4, WriteHarvestX87Only);

    private static void WriteActivate(Assembler a)
    {
        Label refuse = a.CreateLabel(), end = a.CreateLabel(), control = a.CreateLabel(), x87 = a.CreateLabel();

        // What is live already stays as it is.
        a.mov(ecx, __dword_ptr[rdi + StateLayout.LiveUnits]);
        a.not(ecx);
        a.and(esi, ecx);
        a.test(esi, (int)LiveUnit.X87);
        a.je(control);
        a.movzx(eax, __word_ptr[rdi + StateLayout.Fx]);
        a.and(eax, X87Masks);
        a.cmp(eax, X87Masks);
        a.jne(refuse);
        a.test(__byte_ptr[rdi + (StateLayout.Fx + 2)], FxState.ErrorSummary);
        a.jne(refuse);
        a.Label(ref control);
        a.test(esi, (int)LiveUnit.Mxcsr);
        a.je(x87);
        a.mov(eax, __dword_ptr[rdi + (StateLayout.Fx + Mxcsr)]);
        a.and(eax, SimdMasks);
        a.cmp(eax, SimdMasks);
        a.jne(refuse);
        a.stmxcsr(__dword_ptr[rdi + StateLayout.HostMxcsr]);
        a.ldmxcsr(__dword_ptr[rdi + (StateLayout.Fx + Mxcsr)]);
        a.Label(ref x87);
        a.test(esi, (int)LiveUnit.X87);
        a.je(end);

        // FXRSTOR loads MXCSR too, which is to stay as it is.
        a.stmxcsr(__dword_ptr[rsp - 8]);
        a.fxrstor(__[rdi + StateLayout.Fx]);
        a.ldmxcsr(__dword_ptr[rsp - 8]);
        a.xor(eax, eax);
        a.mov(__qword_ptr[rdi + StateLayout.X87Last], rax);
        a.mov(__qword_ptr[rdi + StateLayout.X87Data], rax);
        a.Label(ref end);
        a.or(__dword_ptr[rdi + StateLayout.LiveUnits], esi);
        a.mov(eax, 1);
        a.ret();
        a.Label(ref refuse);
        a.xor(eax, eax);
        a.ret();
    }

    private static void WriteHarvest(Assembler a)
    {
        Label end = a.CreateLabel();
        a.test(__dword_ptr[rdi + StateLayout.LiveUnits], (int)LiveUnit.Mxcsr);
        a.je(end);
        a.stmxcsr(__dword_ptr[rdi + (StateLayout.Fx + Mxcsr)]);
        a.ldmxcsr(__dword_ptr[rdi + StateLayout.HostMxcsr]);
        a.Label(ref end);
        WriteHarvestX87(a);
        a.mov(__dword_ptr[rdi + StateLayout.LiveUnits], 0);
        a.ret();
    }

    private static void WriteHarvestX87Only(Assembler a)
    {
        WriteHarvestX87(a);
        a.and(__dword_ptr[rdi + StateLayout.LiveUnits], ~(int)LiveUnit.X87);
        a.ret();
    }

    // The registers from where FXSAVE puts them, and the pointers that translated code has noted in place of the host's.
    private static void WriteHarvestX87(Assembler a)
    {
        const int Head = 8, Stack = 32, Xmm = 160;
        Label none = a.CreateLabel(), noLast = a.CreateLabel(), noData = a.CreateLabel();
        a.test(__dword_ptr[rdi + StateLayout.LiveUnits], (int)LiveUnit.X87);
        a.je(none);
        a.fxsave(__[rdi + StateLayout.FxLive]);
        a.fninit();
        a.mov(eax, __dword_ptr[rdi + StateLayout.FxLive]);
        a.mov(__dword_ptr[rdi + StateLayout.Fx], eax);
        a.mov(al, __byte_ptr[rdi + (StateLayout.FxLive + 4)]);
        a.mov(__byte_ptr[rdi + (StateLayout.Fx + 4)], al);
        for (int offset = Stack; offset < Xmm; offset += 16)
        {
            a.movups(xmm0, __xmmword_ptr[rdi + (StateLayout.FxLive + offset)]);
            a.movups(__xmmword_ptr[rdi + (StateLayout.Fx + offset)], xmm0);
        }

        a.mov(rax, __qword_ptr[rdi + StateLayout.X87Last]);
        a.test(rax, rax);
        a.je(noLast);
        a.mov(__dword_ptr[rdi + (StateLayout.Fx + Head)], eax);
        a.shr(rax, 32);
        a.and(eax, 0x7FF);
        a.mov(__word_ptr[rdi + (StateLayout.Fx + 6)], ax);
        a.mov(ax, __word_ptr[rdi + StateLayout.SegmentSelector(SegmentIndex.Cs)]);
        a.mov(__word_ptr[rdi + (StateLayout.Fx + Head + 4)], ax);
        a.Label(ref noLast);
        a.mov(rax, __qword_ptr[rdi + StateLayout.X87Data]);
        a.test(rax, rax);
        a.je(noData);
        a.mov(__dword_ptr[rdi + (StateLayout.Fx + Head + 8)], eax);
        a.shr(rax, 32);
        a.movzx(eax, al);
        a.imul(eax, eax, sizeof(Segment));
        a.mov(ax, __word_ptr[rdi + rax + StateLayout.SegmentSelector(0)]);
        a.mov(__word_ptr[rdi + (StateLayout.Fx + Head + 12)], ax);
        a.Label(ref noData);
        a.nop();
        a.Label(ref none);
    }

    private static nint Assemble(int offset, Action<Assembler> write)
    {
        if (Code == null)
        {
            return 0;
        }

        var assembler = new Assembler(64);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), (ulong)(Code + offset));
        if (stream.Length > CodeBytes / 4)
        {
            throw new InvalidOperationException("The code for live units has outgrown its place.");
        }

        stream.ToArray().CopyTo(new Span<byte>(Code + offset, (int)stream.Length));
        return (nint)(Code + offset);
    }
}
