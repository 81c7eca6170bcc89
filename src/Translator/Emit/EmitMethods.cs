using System.Numerics;
using System.Reflection;
using Dbt.Translator.State;

namespace Dbt.Translator.Emit;

/// <summary>Methods that emitted code calls.</summary>
internal static unsafe class EmitMethods
{
    public static readonly MethodInfo PopCount = Of(typeof(BitOperations), nameof(BitOperations.PopCount), typeof(uint));
    public static readonly MethodInfo LeadingZeros = Of(typeof(BitOperations), nameof(BitOperations.LeadingZeroCount), typeof(uint));
    public static readonly MethodInfo TrailingZeros = Of(typeof(BitOperations), nameof(BitOperations.TrailingZeroCount), typeof(uint));
    public static readonly MethodInfo RotateLeft = Of(typeof(BitOperations), nameof(BitOperations.RotateLeft), typeof(uint), typeof(int));
    public static readonly MethodInfo RotateRight = Of(typeof(BitOperations), nameof(BitOperations.RotateRight), typeof(uint), typeof(int));
    public static readonly MethodInfo SwapBytes =
        Of(typeof(System.Buffers.Binary.BinaryPrimitives), nameof(System.Buffers.Binary.BinaryPrimitives.ReverseEndianness), typeof(uint));
    public static readonly MethodInfo MemoryBarrier = Of(typeof(Interlocked), nameof(Interlocked.MemoryBarrier));

    public static readonly MethodInfo Condition = Of(typeof(LazyFlags), nameof(LazyFlags.Condition), typeof(CpuState*), typeof(int));
    public static readonly MethodInfo Carry = Of(typeof(LazyFlags), nameof(LazyFlags.Carry), typeof(CpuState*));
    public static readonly MethodInfo Status = Of(typeof(LazyFlags), nameof(LazyFlags.Status), typeof(CpuState*));
    public static readonly MethodInfo SetStatus = Of(typeof(LazyFlags), nameof(LazyFlags.SetStatus), typeof(CpuState*), typeof(uint));
    public static readonly MethodInfo ResultStatus = Of(typeof(LazyFlags), nameof(LazyFlags.ZeroSignParity), typeof(uint), typeof(int));

    public static readonly MethodInfo AddStatus = Of(typeof(FlagMath), nameof(FlagMath.Add), typeof(uint), typeof(uint), typeof(uint), typeof(int));
    public static readonly MethodInfo SubtractStatus = Of(typeof(FlagMath), nameof(FlagMath.Subtract), typeof(uint), typeof(uint), typeof(uint), typeof(int));
    public static readonly MethodInfo IncrementStatus = Of(typeof(FlagMath), nameof(FlagMath.Increment), typeof(uint), typeof(uint), typeof(int));
    public static readonly MethodInfo DecrementStatus = Of(typeof(FlagMath), nameof(FlagMath.Decrement), typeof(uint), typeof(uint), typeof(int));

    /// <summary>A static method by name and parameters; it is a bug of ours where there is none.</summary>
    public static MethodInfo Of(Type type, string name, params Type[] parameters) => Warm(
        type.GetMethod(name, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, parameters)
        ?? throw new MissingMethodException(type.FullName, name));

    /// <summary>
    /// Calls a method with all kinds of arguments, and so has all of it compiled: a first call from translated code would have
    /// the runtime's compiler work with the guest's MXCSR in force, and set its flags.
    /// </summary>
    public static MethodInfo Warm(MethodInfo method)
    {
        CpuState* state = CpuState.Allocate();
        FlagOperation[] operations = Enum.GetValues<FlagOperation>();
        for (int i = 0; i < 16 * operations.Length; i++)
        {
            state->FlagOp = (uint)operations[i / 16] | (4 << 8);
            object?[] arguments = Array.ConvertAll(method.GetParameters(), parameter => Argument(parameter.ParameterType, state, parameter.Name == "size" ? 1 << (i % 3) : i % 16));
            method.Invoke(null, arguments);
        }

        CpuState.Free(state);
        Cache.HostHelpers.Shared.Add(method);
        return method;
    }

    private static object? Argument(Type type, CpuState* state, int value)
    {
        if (type.IsPointer)
        {
            return Pointer.Box(state, type);
        }

        Type plain = type.IsByRef ? type.GetElementType()! : type;
        return Convert.ChangeType(value, plain, System.Globalization.CultureInfo.InvariantCulture);
    }
}
