using System.Runtime.Intrinsics.X86;
using Dbt.Translator.State;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// What the manuals leave to a processor, and in which those of the two makers differ. The engines do as AMD's do; a host of another maker says nothing
/// about vectors that meet such a case and come out differently. On AMD's own all is compared but what AMD has changed.
/// </summary>
internal static class ProcessorsChoice
{
    private const uint LargestOperand = 512;

    /// <summary>Whether the host's processor is AMD's, of which the engines have the ways.</summary>
    public static bool HostIsAmd { get; } = X86Base.IsSupported && X86Base.CpuId(0, 0).Ebx == 0x6874_7541;

    /// <summary>Whether a difference may be one of two right answers.</summary>
    public static bool Allows(TestVector vector, Outcome native, Outcome guest) =>
        FaultsInTheOtherOperand(vector, native, guest) || (!HostIsAmd && (WrapsAround(native, guest) || vector.Code.Exists(code => Allows(vector.Bits, code, native.Vector, guest.Vector))));

    // Both of CMPS can't be read: older processors of AMD's tell of the first, newer ones (seen on one with AVX-512) of the second.
    private static bool FaultsInTheOtherOperand(TestVector vector, Outcome native, Outcome guest) =>
        IsFault(native.Vector) && IsFault(guest.Vector) && native.Eip == guest.Eip && (native.Vector, native.Cr2) != (guest.Vector, guest.Cr2)
        && vector.Code.Exists(code => Decode(vector.Bits, code).Mnemonic is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd);

    // An operand that goes on beyond 4 GiB in a segment of 4 GiB may be a violation of the limit or not (SDM vol. 3, 5.3).
    private static bool WrapsAround(Outcome native, Outcome guest) =>
        native.Vector == (uint)Vector.PageFault && native.Cr2 > uint.MaxValue - LargestOperand && native.Eip == guest.Eip
        && guest.Vector is (uint)Vector.StackFault or (uint)Vector.GeneralProtection && guest.Error == 0;

    private static bool Allows(int bits, byte[] code, uint native, uint guest)
    {
        Instruction instruction = Decode(bits, code);
        bool faulted = IsFault(native) || IsFault(guest);
        switch (instruction.Mnemonic)
        {
            // Intel's write the lower half of the place on the stack alone.
            case Mnemonic.Push:
                return instruction.Op0Register.IsSegmentRegister();

            // Undefined beyond 16.
            case Mnemonic.Shld or Mnemonic.Shrd:
                return instruction.Op1Register.IsGPR16();

            // Intel's restore the flags where a repetition faults, or is single-stepped.
            case Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd:
                return (faulted || native == (uint)Vector.Debug) && (instruction.HasRepePrefix || instruction.HasRepnePrefix);

            // Which of several NaNs is the result.
            case Mnemonic.Dpps or Mnemonic.Dppd:
                return true;

            // Which of several faults is found first; what an instruction has done to TOP and the tags when it faults.
            case Mnemonic.Retf or Mnemonic.Bound or Mnemonic.Maskmovdqu or Mnemonic.Maskmovq:
                return faulted;
            default:
                return faulted && instruction.OpCount != 0 && instruction.Op0Kind == OpKind.Memory
                    && (InstructionIsX87(instruction) || Enumerable.Range(0, instruction.OpCount).Any(i => instruction.GetOpKind(i) == OpKind.Register && instruction.GetOpRegister(i).IsMM()));
        }
    }

    private static Instruction Decode(int bits, byte[] code) => Decoder.Create(bits, new ByteArrayCodeReader(code), 0).Decode();

    private static bool IsFault(uint vector) => vector is 5 or (uint)Vector.SegmentNotPresent or (uint)Vector.StackFault or (uint)Vector.GeneralProtection or (uint)Vector.PageFault;

    private static bool InstructionIsX87(in Instruction instruction) => instruction.CpuidFeatures.Any(feature => feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387);
}
