using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Which instructions are translated in which mode.</summary>
internal static class Translatable
{
    private const CpuMode Needed = CpuMode.Code32 | CpuMode.Stack32 | CpuMode.Flat;

    /// <summary>Whether code of this mode is translated at all: 32-bit, flat, not single-stepped. The rest is interpreted.</summary>
    public static bool IsModeTranslated(CpuMode mode) => (mode & (Needed | CpuMode.SingleStep | CpuMode.Watched)) == Needed;

    /// <summary>The routine for an instruction; null where it is left to the interpreter.</summary>
    public static EmitRoutine? Routine(in Instruction instruction, Region region)
    {
        InstructionRow? row = InstructionTable.Lookup(instruction);
        EmitRoutine? routine = row?.Emit;
        return routine is not null && UnitsAllow(row!, instruction, region) && AddressesAreTranslated(instruction, region.Mode) && LoadIsTranslated(instruction, region.Mode)
            && !region.Untranslatable.Contains(instruction.IP32)
            ? routine
            : null;
    }

    /// <summary>What must be live while a region runs.</summary>
    public static LiveUnit UnitsOf(Region region)
    {
        LiveUnit units = LiveUnit.None;
        foreach (GuestBlock block in region.Blocks)
        {
            foreach (Instruction instruction in block.Instructions)
            {
                if (InstructionTable.Lookup(instruction) is not { TestClass: TestClass.Simd or TestClass.Fpu } || Routine(instruction, region) is not { } routine)
                {
                    continue;
                }

                units |= routine == EmitX87.Run ? LiveUnit.X87 : EmitSimd.UsesMxcsr(instruction.Mnemonic) ? LiveUnit.Mxcsr : LiveUnit.None;
            }
        }

        return units;
    }

    /// <summary>Whether MMX instructions are translated in a region.</summary>
    public static bool UsesMmx(Region region) =>
        region.Blocks.Exists(block => block.Instructions.Exists(instruction => EmitMmx.IsMmx(instruction) && Routine(instruction, region) is not null));

    private static bool UnitsAllow(InstructionRow row, in Instruction instruction, Region region)
    {
        if (row.TestClass == TestClass.Fpu)
        {
            return region.NativeFloatingPoint && (region.Mode & CpuMode.FpuTrap) == 0;
        }

        if (row.TestClass != TestClass.Simd)
        {
            return true;
        }

        bool mmx = EmitMmx.IsMmx(instruction);
        CpuMode traps = mmx && !EmitMmx.UsesXmm(instruction) ? CpuMode.FpuTrap : CpuMode.SseTrap;
        return region.NativeFloatingPoint && (region.Mode & traps) == 0 && (!mmx || EmitMmx.IsTranslated(instruction.Mnemonic));
    }

    // It shares its row with the move the other way.
    private static bool LoadIsTranslated(in Instruction instruction, CpuMode mode) =>
        instruction.Mnemonic is not (Mnemonic.Mov or Mnemonic.Pop) || !instruction.Op0Register.IsSegmentRegister() || EmitSegments.IsLoadTranslated(instruction.Op0Register, mode);

    private static bool AddressesAreTranslated(in Instruction instruction, CpuMode mode)
    {
        for (int i = 0; i < instruction.OpCount; i++)
        {
            switch (instruction.GetOpKind(i))
            {
                case OpKind.Memory:
                    if (instruction.MemoryBase.IsGPR16() || instruction.MemoryIndex.IsGPR16()
                        || (instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None && instruction.MemoryDisplSize == 2))
                    {
                        return false;
                    }

                    goto case OpKind.MemorySegESI;
                case OpKind.MemorySegESI:
                    if (!SegmentIsTranslated(instruction.MemorySegment, mode))
                    {
                        return false;
                    }

                    break;
                case OpKind.MemoryESEDI:
                    break;
                case OpKind.MemorySegEDI:
                    // MASKMOVDQU; with a base of its own it is rare.
                    if (instruction.MemorySegment is Register.CS or Register.FS or Register.GS)
                    {
                        return false;
                    }

                    break;
                case OpKind.NearBranch16 or OpKind.FarBranch16 or OpKind.FarBranch32:
                    return false;
                case OpKind.MemorySegDI or OpKind.MemorySegSI or OpKind.MemoryESDI:
                    return false;
            }
        }

        return true;
    }

    // A write through CS faults; few read through it, so they are left to the interpreter too.
    private static bool SegmentIsTranslated(Register segment, CpuMode mode) => segment switch
    {
        Register.CS => false,
        Register.FS => (mode & CpuMode.FsSimple) != 0,
        Register.GS => (mode & CpuMode.GsSimple) != 0,
        _ => true,
    };
}
