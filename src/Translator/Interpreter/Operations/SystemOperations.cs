using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation.Operations;

/// <summary>Instructions reserved to ring 0, port I/O, identification, descriptor-table reads.</summary>
internal static unsafe class SystemOperations
{
    private const uint Cr4Tsd = 1u << 2;
    private const uint Cr4Umip = 1u << 11;
    private const uint Cr4Osxsave = 1u << 18;

    /// <summary>An instruction of ring 0 that the platform carries out.</summary>
    public static bool Ring0(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        cpu->Cpl == 0 ? Hand(interpreter, cpu, in d) : Interpreter.GeneralProtection(cpu);

    /// <summary>MOV to or from a control or debug register.</summary>
    public static bool MovControl(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Ring0(interpreter, cpu, in d);

    /// <summary>IN, OUT, INS, OUTS: there is no I/O permission map, so IOPL decides.</summary>
    public static bool PortIo(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.SystemUnit is { } system ? system.Ports.Execute(interpreter, cpu, in d)
        : cpu->Cpl <= (int)((cpu->Eflags >> 12) & 3) ? Hand(interpreter, cpu, in d) : Interpreter.GeneralProtection(cpu);

    /// <summary>SYSENTER; #GP(0) where SYSENTER_CS is 0, which it is below a hypervisor.</summary>
    public static bool Sysenter(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.SystemUnit is { } system ? system.FastCalls.Enter(cpu) : Interpreter.GeneralProtection(cpu);

    /// <summary>SYSEXIT.</summary>
    public static bool Sysexit(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.SystemUnit is { } system ? system.FastCalls.Exit(cpu) : Interpreter.GeneralProtection(cpu);

    /// <summary>VMCALL and VMMCALL: to the machine's owner, #UD where it offers none.</summary>
    public static bool Vmcall(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (interpreter.SystemUnit is not { } system)
        {
            return Interpreter.Undefined(cpu);
        }

        if (!system.Owner.CallOwner(cpu, d.NextEip))
        {
            return Interpreter.Undefined(cpu);
        }

        interpreter.Transferred = true;
        return true;
    }

    /// <summary>Instructions that raise #GP(0) at any level here: no performance counters.</summary>
    public static bool AlwaysProtected(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => Interpreter.GeneralProtection(cpu);

    /// <summary>CPUID.</summary>
    public static bool Cpuid(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        interpreter.Platform.Cpuid(cpu, cpu->Gpr[(int)Gpr.Eax], cpu->Gpr[(int)Gpr.Ecx], out uint eax, out uint ebx, out uint ecx, out uint edx);
        cpu->Gpr[(int)Gpr.Eax] = eax;
        cpu->Gpr[(int)Gpr.Ebx] = ebx;
        cpu->Gpr[(int)Gpr.Ecx] = ecx;
        cpu->Gpr[(int)Gpr.Edx] = edx;
        return true;
    }

    /// <summary>RDTSC; #GP(0) outside ring 0 where CR4.TSD is set.</summary>
    public static bool Rdtsc(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if ((cpu->Cr4 & Cr4Tsd) != 0 && cpu->Cpl != 0)
        {
            return Interpreter.GeneralProtection(cpu);
        }

        ulong value = interpreter.Platform.ReadTsc(cpu);
        cpu->Gpr[(int)Gpr.Eax] = (uint)value;
        cpu->Gpr[(int)Gpr.Edx] = (uint)(value >> 32);
        return true;
    }

    /// <summary>RDTSCP: RDTSC, and IA32_TSC_AUX in ECX.</summary>
    public static bool Rdtscp(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        if (!Rdtsc(interpreter, cpu, in d))
        {
            return false;
        }

        cpu->Gpr[(int)Gpr.Ecx] = cpu->TscAux;
        return true;
    }

    /// <summary>RDPID: IA32_TSC_AUX.</summary>
    public static bool Rdpid(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        *(uint*)Interpreter.Register(cpu, d.Register0) = cpu->TscAux;
        return true;
    }

    /// <summary>RDRAND and RDSEED: the host's random numbers, never exhausted; CF set, the other status flags clear.</summary>
    public static bool Random(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        uint value;
        System.Security.Cryptography.RandomNumberGenerator.Fill(new Span<byte>(&value, sizeof(uint)));
        Interpreter.Store(Interpreter.Register(cpu, d.Register0), d.Size, value);
        LazyFlags.SetStatus(cpu, Flags.Cf);
        return true;
    }

    /// <summary>XSETBV: #UD without CR4.OSXSAVE, which nothing here offers; then an instruction of ring 0.</summary>
    public static bool Xsetbv(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        (cpu->Cr4 & Cr4Osxsave) == 0 ? Interpreter.Undefined(cpu) : Ring0(interpreter, cpu, in d);

    /// <summary>SGDT.</summary>
    public static bool Sgdt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        StoreTable(interpreter, cpu, in d, cpu->GdtrBase, cpu->GdtrLimit);

    /// <summary>SIDT.</summary>
    public static bool Sidt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        StoreTable(interpreter, cpu, in d, cpu->IdtrBase, cpu->IdtrLimit);

    /// <summary>SLDT.</summary>
    public static bool Sldt(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        (cpu->Mode & CpuMode.Virtual8086) != 0 ? Interpreter.Undefined(cpu) : StoreWord(interpreter, cpu, in d, cpu->Ldtr.Selector);

    /// <summary>STR.</summary>
    public static bool Str(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        (cpu->Mode & CpuMode.Virtual8086) != 0 ? Interpreter.Undefined(cpu) : StoreWord(interpreter, cpu, in d, cpu->Tr.Selector);

    /// <summary>SMSW: memory gets 16 bits, a register all that fit.</summary>
    public static bool Smsw(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) => StoreWord(interpreter, cpu, in d, cpu->Cr0);

    /// <summary>
    /// CLFLUSH, CLFLUSHOPT, CLWB: nothing to flush, but the address is checked like a byte load's, except that it may lie in an
    /// execute-only segment (SDM vol. 2, CLFLUSH).
    /// </summary>
    public static bool Clflush(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d)
    {
        ref Segment segment = ref cpu->Segments[(int)d.Segment];
        if (!segment.IsCode || segment.Readable)
        {
            return interpreter.Open(cpu, in d, 1, MemoryAccess.Read) != null;
        }

        uint offset = Interpreter.EffectiveAddress(cpu, in d);
        return offset <= segment.High
            ? interpreter.OpenLinear(cpu, segment.Base + offset, 1, MemoryAccess.Read) != null
            : Interpreter.GeneralProtection(cpu);
    }

    private static bool Hand(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d) =>
        interpreter.SystemUnit is { } system ? system.Execute(interpreter, cpu, in d) : interpreter.Platform.ExecutePrivileged(cpu, in interpreter.Kept(in d)) || Interpreter.GeneralProtection(cpu);

    private static bool StoreTable(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint address, uint limit)
    {
        if (Hidden(cpu))
        {
            return Interpreter.GeneralProtection(cpu);
        }

        byte* pointer = interpreter.Open(cpu, in d, 6, MemoryAccess.Write);
        if (pointer == null)
        {
            return false;
        }

        Interpreter.Store(pointer, 2, limit);
        Interpreter.Store(pointer + 2, 4, address);
        interpreter.Commit(cpu);
        return true;
    }

    private static bool StoreWord(Interpreter interpreter, CpuState* cpu, in DecodedInstruction d, uint value)
    {
        if (Hidden(cpu))
        {
            return Interpreter.GeneralProtection(cpu);
        }

        return interpreter.TryStore0(cpu, in d, d.Kind0 == OperandKind.Memory ? 2 : d.Size, value);
    }

    private static bool Hidden(CpuState* cpu) => (cpu->Cr4 & Cr4Umip) != 0 && cpu->Cpl != 0;
}
