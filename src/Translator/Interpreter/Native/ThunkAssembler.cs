using Dbt.Translator.Simd;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// Writes thunks. Called with the System V convention: rdi the FX area (16-byte aligned where all of it is loaded), rsi the
/// memory operand, rdx the register block. Only registers that a callee may change are used, and the host's MXCSR and x87 state
/// are as before on return (x87: initialised, which is how the host's code has it).
/// </summary>
internal static unsafe class ThunkAssembler
{
    private const int XmmOffset = 160;
    private const int MmxOffset = 32;
    private const int TagsOffset = 4;

    /// <summary>The instruction as a thunk executes it.</summary>
    /// <param name="guest">As decoded.</param>
    /// <param name="general">The general register that was replaced by r8d, or none.</param>
    public static Instruction Canonical(in Instruction guest, out Register general)
    {
        Instruction host = guest;
        general = Register.None;
        host.CodeSize = CodeSize.Code64;
        host.Length = 0;
        host.IP = 0;
        host.SegmentPrefix = Register.None;
        for (int i = 0; i < host.OpCount; i++)
        {
            if (host.GetOpKind(i) == OpKind.Register && host.GetOpRegister(i) is >= Register.EAX and <= Register.EDI and var named)
            {
                general = named;
                host.SetOpRegister(i, Register.R8D);
            }
            else if (host.GetOpKind(i) == OpKind.Memory)
            {
                host.MemoryBase = Register.RSI;
                host.MemoryIndex = Register.None;
                host.MemoryIndexScale = 1;
                host.MemoryDisplacement64 = 0;
                host.MemoryDisplSize = 0;
            }
        }

        return host;
    }

    /// <summary>Makes a thunk of host code.</summary>
    /// <param name="guest">As decoded.</param>
    /// <param name="target">Where the code goes.</param>
    /// <param name="length">Bytes of code.</param>
    public static NativeThunk Assemble(in Instruction guest, byte* target, out int length)
    {
        NativeThunk thunk = Describe(guest, (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void>)target, null, out Instruction host, out SortedSet<int> loaded, out MmxUse mmx);
        length = 0;
        if (!thunk.WholeArea && thunk.UsesMxcsr)
        {
            // A second one in front, which leaves MXCSR as it is.
            var quick = new Assembler(64);
            WriteSse(quick, host, loaded, thunk.WrittenXmm, loadsMxcsr: false, storesMxcsr: true);
            length = (Write(quick, target) + 15) & ~15;
            thunk.Quick = (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void>)target;
            thunk.Code = (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void>)(target + length);
        }

        var a = new Assembler(64);
        if (thunk.WholeArea)
        {
            WriteWhole(a, host, guest);
        }
        else if (thunk.ExpectsMmx)
        {
            WriteMmx(a, host, loaded, thunk.WrittenXmm, mmx);
        }
        else
        {
            WriteSse(a, host, loaded, thunk.WrittenXmm, thunk.UsesMxcsr, thunk.UsesMxcsr);
        }

        length += Write(a, target + length);
        return thunk;
    }

    /// <summary>Makes a thunk of managed code.</summary>
    public static NativeThunk Wrap(in Instruction guest, ManagedRoutine routine) => Describe(guest, null, routine, out _, out _, out _);

    private static NativeThunk Describe(
        in Instruction guest, delegate* unmanaged[SuppressGCTransition]<byte*, byte*, NativeRegisters*, void> code, ManagedRoutine? managed,
        out Instruction host, out SortedSet<int> loaded, out MmxUse mmxUse)
    {
        host = Canonical(guest, out Register general);
        var factory = new InstructionInfoFactory();
        InstructionInfo info = factory.GetInfo(host);
        int memorySize = 0;
        bool reads = false, writes = false;
        for (int i = 0; i < host.OpCount; i++)
        {
            if (host.GetOpKind(i) == OpKind.Memory)
            {
                memorySize = host.MemorySize.GetSize();
                OpAccess access = info.GetOpAccess(i);
                reads = access is OpAccess.Read or OpAccess.CondRead or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
                writes = access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            }
        }

        bool x87 = false, mmx = false, writesGeneral = false, writesEcx = false;
        loaded = [];
        int written = -1, mmxUsed = 0, mmxWritten = 0;
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            Register register = used.Register;
            bool isWritten = used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            x87 |= register.IsST();
            if (register.IsMM())
            {
                mmx = true;
                mmxUsed |= 1 << (register - Register.MM0);
                mmxWritten |= isWritten ? 1 << (register - Register.MM0) : 0;
            }

            writesGeneral |= isWritten && register is Register.R8D or Register.R8;
            writesEcx |= isWritten && register is Register.ECX or Register.RCX;
            if (register.IsXMM())
            {
                loaded.Add(register - Register.XMM0);
                written = isWritten ? register - Register.XMM0 : written;
            }
        }

        bool legacy = false;
        foreach (CpuidFeature feature in guest.CpuidFeatures)
        {
            legacy |= feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387;
        }

        x87 |= legacy;
        mmx |= guest.Mnemonic == Mnemonic.Emms;
        mmxUse = new MmxUse(mmxUsed, mmxWritten);
        bool usesMxcsr = x87 || SimdTable.UsesMxcsr(guest.Mnemonic);
        return new NativeThunk
        {
            Code = code,
            Managed = managed,
            Fast = managed == null && x87 ? FastX87.Find(guest) : null,
            Class = x87 ? NativeClass.X87 : mmx ? NativeClass.Mmx : NativeClass.Sse,
            UsesMxcsr = usesMxcsr,
            UsesXmm = loaded.Count != 0,
            WholeArea = x87 || (mmx && (usesMxcsr || managed != null)),
            MemorySize = memorySize,
            ReadsMemory = reads,
            WritesMemory = writes,
            Aligned = memorySize == 16 && !ToleratesMisalignment(guest.Mnemonic),
            Register = general == Register.None ? -1 : InstructionDecoder.RegisterOffset(general),
            WritesRegister = writesGeneral,
            WritesEcx = writesEcx,
            ReadsFlags = guest.RflagsRead != RflagsBits.None,
            WritesFlags = guest.RflagsModified != RflagsBits.None,
            WrittenXmm = written,
        };
    }

    private static void WriteWhole(Assembler a, in Instruction host, in Instruction guest)
    {
        a.mov(r9, rdx);
        a.stmxcsr(__dword_ptr[r9 + 20]);
        a.fxrstor(__[rdi]);
        if (guest.RflagsRead != RflagsBits.None || guest.RflagsModified != RflagsBits.None)
        {
            a.mov(r10d, __dword_ptr[r9 + 16]);
            a.push(r10);
            a.popfq();
        }

        a.mov(r8d, __dword_ptr[r9 + 12]);
        a.AddInstruction(host);
        if (guest.RflagsModified != RflagsBits.None)
        {
            a.pushfq();
            a.pop(r10);
            a.mov(__dword_ptr[r9 + 16], r10d);
        }

        a.mov(__dword_ptr[r9 + 12], r8d);
        a.fxsave(__[rdi]);
        a.fninit();
        a.ldmxcsr(__dword_ptr[r9 + 20]);
        a.ret();
    }

    private static void WriteSse(Assembler a, in Instruction host, SortedSet<int> loaded, int written, bool loadsMxcsr, bool storesMxcsr)
    {
        a.mov(r9, rdx);
        if (loadsMxcsr)
        {
            a.stmxcsr(__dword_ptr[r9 + 20]);
            a.ldmxcsr(__dword_ptr[r9 + 24]);
        }

        foreach (int number in loaded)
        {
            a.movups(Xmm(number), __xmmword_ptr[rdi + (XmmOffset + (16 * number))]);
        }

        a.mov(eax, __dword_ptr[r9]);
        a.mov(edx, __dword_ptr[r9 + 8]);
        a.mov(r8d, __dword_ptr[r9 + 12]);
        a.AddInstruction(host);
        if (host.RflagsModified != RflagsBits.None)
        {
            a.pushfq();
            a.pop(r10);
            a.mov(__dword_ptr[r9 + 16], r10d);
        }

        a.mov(__dword_ptr[r9 + 4], ecx);
        a.mov(__dword_ptr[r9 + 12], r8d);
        if (written >= 0)
        {
            a.movups(__xmmword_ptr[r9 + 32], Xmm(written));
        }

        if (storesMxcsr)
        {
            a.stmxcsr(__dword_ptr[r9 + 24]);
        }

        if (loadsMxcsr)
        {
            // Without flags, so that those that a quick thunk finds are its own.
            a.and(__dword_ptr[r9 + 20], ~0x3F);
            a.ldmxcsr(__dword_ptr[r9 + 20]);
        }

        a.ret();
    }

    /// <summary>The registers that it names, from an area in MMX mode and back: a tenth of what loading and saving all of it takes.</summary>
    private static void WriteMmx(Assembler a, in Instruction host, SortedSet<int> loaded, int written, MmxUse mmx)
    {
        a.mov(r9, rdx);
        foreach (int number in loaded)
        {
            a.movups(Xmm(number), __xmmword_ptr[rdi + (XmmOffset + (16 * number))]);
        }

        for (int number = 0; number < 8; number++)
        {
            if ((mmx.Used >> number & 1) != 0)
            {
                a.movq(Mm(number), __qword_ptr[rdi + (MmxOffset + (16 * number))]);
            }
        }

        a.mov(r8d, __dword_ptr[r9 + 12]);
        a.AddInstruction(host);
        for (int number = 0; number < 8; number++)
        {
            if ((mmx.Written >> number & 1) != 0)
            {
                a.movq(__qword_ptr[rdi + (MmxOffset + (16 * number))], Mm(number));
                a.mov(__word_ptr[rdi + (MmxOffset + (16 * number) + 8)], 0xFFFF);
            }
        }

        a.mov(__dword_ptr[r9 + 12], r8d);
        if (written >= 0)
        {
            a.movups(__xmmword_ptr[r9 + 32], Xmm(written));
        }

        if (host.Mnemonic == Mnemonic.Emms)
        {
            a.mov(__byte_ptr[rdi + TagsOffset], 0);
        }

        a.emms();
        a.ret();
    }

    private static int Write(Assembler a, byte* target)
    {
        var writer = new PointerCodeWriter(target);
        a.Assemble(writer, (ulong)target);
        return writer.Length;
    }

    /// <summary>The assembler's register of a number, 0 to 7.</summary>
    internal static AssemblerRegisterXMM Xmm(int number) => number switch
    {
        0 => xmm0,
        1 => xmm1,
        2 => xmm2,
        3 => xmm3,
        4 => xmm4,
        5 => xmm5,
        6 => xmm6,
        _ => xmm7,
    };

    private static AssemblerRegisterMM Mm(int number) => number switch
    {
        0 => mm0,
        1 => mm1,
        2 => mm2,
        3 => mm3,
        4 => mm4,
        5 => mm5,
        6 => mm6,
        _ => mm7,
    };

    private static bool ToleratesMisalignment(Mnemonic mnemonic) => mnemonic is
        Mnemonic.Movups or Mnemonic.Movupd or Mnemonic.Movdqu or Mnemonic.Lddqu
        or Mnemonic.Pcmpestri or Mnemonic.Pcmpestrm or Mnemonic.Pcmpistri or Mnemonic.Pcmpistrm;

    /// <summary>MMX registers that an instruction names, and those it writes: bit per number.</summary>
    private readonly record struct MmxUse(int Used, int Written);
}
