using Dbt.Translator.Emit.Routines;
using Dbt.Translator.Interpretation.Operations;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Instructions;

// Shifts and rotates. OF is defined only for a count of 1; CF of SHL and SHR only for counts below the operand size.
internal static unsafe partial class InstructionTable
{
    private static InstructionRow[] ShiftRows() =>
    [
        new(Mnemonic.Shl, "SAL/SAR/SHL/SHR", TestClass.Shift, &ShiftOperations.Execute<ShlShift>, emit: EmitShifts.Shl, undefinedFlags: Flags.Af | Flags.Of, threaded: &UnaryOps.PickShift<ShlShift>),
        new(Mnemonic.Sal, "SAL/SAR/SHL/SHR", TestClass.Shift, &ShiftOperations.Execute<ShlShift>, emit: EmitShifts.Shl, undefinedFlags: Flags.Af | Flags.Of, threaded: &UnaryOps.PickShift<ShlShift>),
        new(Mnemonic.Shr, "SAL/SAR/SHL/SHR", TestClass.Shift, &ShiftOperations.Execute<ShrShift>, emit: EmitShifts.Shr, undefinedFlags: Flags.Af | Flags.Of, threaded: &UnaryOps.PickShift<ShrShift>),
        new(Mnemonic.Sar, "SAL/SAR/SHL/SHR", TestClass.Shift, &ShiftOperations.Execute<SarShift>, emit: EmitShifts.Sar, undefinedFlags: Flags.Af | Flags.Of, threaded: &UnaryOps.PickShift<SarShift>),
        new(Mnemonic.Rol, "RCL/RCR/ROL/ROR", TestClass.Shift, &ShiftOperations.Execute<RolShift>, emit: EmitShifts.Rol, undefinedFlags: Flags.Of, threaded: &UnaryOps.PickRotate<RolShift>),
        new(Mnemonic.Ror, "RCL/RCR/ROL/ROR", TestClass.Shift, &ShiftOperations.Execute<RorShift>, emit: EmitShifts.Ror, undefinedFlags: Flags.Of, threaded: &UnaryOps.PickRotate<RorShift>),
        new(Mnemonic.Rcl, "RCL/RCR/ROL/ROR", TestClass.Shift, &ShiftOperations.Execute<RclShift>, emit: EmitShifts.Rcl, undefinedFlags: Flags.Of),
        new(Mnemonic.Rcr, "RCL/RCR/ROL/ROR", TestClass.Shift, &ShiftOperations.Execute<RcrShift>, emit: EmitShifts.Rcr, undefinedFlags: Flags.Of),
        new(Mnemonic.Shld, "SHLD", TestClass.Shift, &ShiftOperations.Shld, emit: EmitShifts.Shld, undefinedFlags: Flags.Af | Flags.Of),
        new(Mnemonic.Shrd, "SHRD", TestClass.Shift, &ShiftOperations.Shrd, emit: EmitShifts.Shrd, undefinedFlags: Flags.Af | Flags.Of),
    ];
}
