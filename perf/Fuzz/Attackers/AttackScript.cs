using Dbt.Xen.Abi;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>What a step of an attacker's script does; the words of a step are operation, then A to G.</summary>
internal enum AttackOperation : uint
{
    /// <summary>Nothing: the script goes on.</summary>
    None = 0,

    /// <summary>Hypercall A with arguments B to G.</summary>
    Hypercall = 1,

    /// <summary>Reads the word at A.</summary>
    Read = 2,

    /// <summary>Writes the word B to A.</summary>
    Write = 3,

    /// <summary>Writes the byte B to A.</summary>
    WriteByte = 4,

    /// <summary>LOCK CMPXCHG8B at A, from what is there to C:B.</summary>
    Exchange8 = 5,

    /// <summary>XCHG of A with B.</summary>
    Exchange = 6,

    /// <summary>LOCK OR of A with B.</summary>
    Or = 7,

    /// <summary>REP MOVSB from B to A, C bytes but 8 KiB at most.</summary>
    Copy = 8,

    /// <summary>Executes the 23 bytes at A.</summary>
    Code = 9,
}

/// <summary>
/// The attacker's own program: takes step after step of a script in its memory. Whatever faults, or comes as an event, comes back to
/// its first instruction, so that an attack goes on after a step that failed. Words of a step that was survived say so: the first becomes
/// <see cref="Survived"/>, the second what a hypercall or a read gave.
/// </summary>
internal static class AttackScript
{
    /// <summary>Bytes of a step, and steps of a script.</summary>
    public const int StepBytes = 32, Steps = 256;

    /// <summary>See <see cref="AttackScript"/>.</summary>
    public const uint Survived = 0xFFFF0001;

    /// <summary>Offset and length of the bytes of <see cref="AttackOperation.Code"/>; a jump to the next step stands behind them.</summary>
    public const int CodeOffset = 4, CodeBytes = 23;

    /// <summary>Writes a processor's program.</summary>
    /// <param name="c">To its page.</param>
    /// <param name="translated">For a PVH domain.</param>
    /// <param name="processor">Number of the processor.</param>
    /// <param name="script">Where its script is.</param>
    /// <param name="position">Where the address of the next step is kept.</param>
    /// <param name="stackTop">End of its stack.</param>
    /// <param name="sharedInfo">The shared_info page.</param>
    public static void Assemble(Assembler c, bool translated, int processor, uint script, uint position, uint stackTop, uint sharedInfo)
    {
        Label next = c.CreateLabel(), survived = c.CreateLabel(), done = c.CreateLabel();
        c.mov(esp, stackTop);
        c.cld();
        c.mov(esi, __dword_ptr[position]);
        c.test(esi, esi);
        c.jne(next);
        c.mov(__dword_ptr[position], script);
        c.Label(ref next);
        if (!translated)
        {
            uint info = sharedInfo + ((uint)processor * SharedInfoLayout.VcpuInfoSize);
            c.mov(__byte_ptr[info + SharedInfoLayout.UpcallPending], 0);
            c.mov(__byte_ptr[info + SharedInfoLayout.UpcallMask], 0);
        }

        c.mov(esi, __dword_ptr[position]);
        c.cmp(esi, script + (Steps * StepBytes));
        c.jae(done);
        c.add(__dword_ptr[position], StepBytes);
        c.mov(eax, __dword_ptr[esi]);
        c.mov(edi, __dword_ptr[esi + 4]);
        Step(c, AttackOperation.Hypercall, () => Hypercall(c, translated, position), survived);
        Step(c, AttackOperation.Read, () => c.mov(eax, __dword_ptr[edi]), survived);
        Step(c, AttackOperation.Write, () => Simple(c, () => c.mov(__dword_ptr[edi], eax)), survived);
        Step(c, AttackOperation.WriteByte, () => Simple(c, () => c.mov(__byte_ptr[edi], al)), survived);
        Step(c, AttackOperation.Exchange, () => Simple(c, () => c.xchg(__dword_ptr[edi], eax)), survived);
        Step(c, AttackOperation.Or, () => Simple(c, () => c.@lock.or(__dword_ptr[edi], eax)), survived);
        Step(c, AttackOperation.Exchange8, () => Exchange8(c), survived);
        Step(c, AttackOperation.Copy, () => Copy(c), survived);
        c.cmp(eax, (int)AttackOperation.Code);
        c.jne(survived);
        c.lea(eax, __[esi + CodeOffset]);
        c.jmp(eax);
        c.Label(ref survived);
        c.mov(esi, __dword_ptr[position]);
        c.mov(__dword_ptr[esi - StepBytes], Survived);
        c.mov(__dword_ptr[esi - StepBytes + 4], eax);
        c.jmp(next);

        c.Label(ref done);
        Finish(c, translated, processor, position);
        c.jmp(done);
    }

    private static void Step(Assembler c, AttackOperation operation, Action write, Label survived)
    {
        Label other = c.CreateLabel();
        c.cmp(eax, (int)operation);
        c.jne(other);
        write();
        c.jmp(survived);
        c.Label(ref other);
    }

    private static void Simple(Assembler c, Action write)
    {
        c.mov(eax, __dword_ptr[esi + 8]);
        write();
    }

    private static void Exchange8(Assembler c)
    {
        c.mov(ebx, __dword_ptr[esi + 8]);
        c.mov(ecx, __dword_ptr[esi + 12]);
        c.mov(eax, __dword_ptr[edi]);
        c.mov(edx, __dword_ptr[edi + 4]);
        c.@lock.cmpxchg8b(__qword_ptr[edi]);
    }

    private static void Copy(Assembler c)
    {
        c.mov(ecx, __dword_ptr[esi + 12]);
        c.and(ecx, 0x1FFF);
        c.mov(esi, __dword_ptr[esi + 8]);
        c.rep.movsb();
    }

    private static void Hypercall(Assembler c, bool translated, uint position)
    {
        c.mov(eax, edi);
        c.mov(ebx, __dword_ptr[esi + 8]);
        c.mov(ecx, __dword_ptr[esi + 12]);
        c.mov(edx, __dword_ptr[esi + 16]);
        c.mov(edi, __dword_ptr[esi + 24]);
        c.mov(ebp, __dword_ptr[esi + 28]);
        c.mov(esi, __dword_ptr[esi + 20]);
        Trap(c, translated);
    }

    private static void Trap(Assembler c, bool translated)
    {
        if (translated)
        {
            c.vmcall();
        }
        else
        {
            c.@int(Layout.HypercallVector);
        }
    }

    // The first processor powers the domain off; another one goes down.
    private static void Finish(Assembler c, bool translated, int processor, uint position)
    {
        c.mov(__dword_ptr[position + 8], 0);
        (int number, uint command, uint argument) = processor == 0 ? (29, 2u, position + 8) : (24, 2u, (uint)processor);
        c.mov(ebx, command);
        c.mov(ecx, argument);
        c.mov(edx, 0);
        c.mov(eax, number);
        Trap(c, translated);
    }
}
