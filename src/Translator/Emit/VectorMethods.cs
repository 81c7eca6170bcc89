using System.Reflection;
using System.Runtime.Intrinsics;

namespace Dbt.Translator.Emit;

/// <summary>
/// Intrinsics that emitted code calls; RyuJIT makes one instruction of each. It treats all vectors of 128 bits alike, so the
/// emitted code has one type of local and no conversions between element types.
/// </summary>
internal static class VectorMethods
{
    public static readonly MethodInfo Zero = typeof(Vector128<byte>).GetProperty(nameof(Vector128<byte>.Zero))!.GetMethod!;
    public static readonly MethodInfo AllOnes = typeof(Vector128<byte>).GetProperty(nameof(Vector128<byte>.AllBitsSet))!.GetMethod!;
    public static readonly MethodInfo CreateDouble = Of(typeof(Vector128), nameof(Vector128.CreateScalar), typeof(double));
    public static readonly MethodInfo CreateDoubleUnsafe = Of(typeof(Vector128), nameof(Vector128.CreateScalarUnsafe), typeof(double));
    public static readonly MethodInfo CreateSingle = Of(typeof(Vector128), nameof(Vector128.CreateScalar), typeof(float));
    public static readonly MethodInfo CreateSingleUnsafe = Of(typeof(Vector128), nameof(Vector128.CreateScalarUnsafe), typeof(float));
    public static readonly MethodInfo CreateInt32 = Of(typeof(Vector128), nameof(Vector128.CreateScalar), typeof(int));
    public static readonly MethodInfo ToDouble = ToScalar(typeof(double));
    public static readonly MethodInfo ToSingle = ToScalar(typeof(float));
    public static readonly MethodInfo ToInt32 = ToScalar(typeof(int));

    /// <summary>The type of a vector with elements of a type.</summary>
    public static Type Vector(Type element) => typeof(Vector128<>).MakeGenericType(element);

    /// <summary>A static method by name and parameters; it is a bug of ours where there is none.</summary>
    public static MethodInfo Of(Type type, string name, params Type[] parameters) =>
        type.GetMethod(name, BindingFlags.Static | BindingFlags.Public, parameters) ?? throw new MissingMethodException(type.FullName, name);

    /// <summary>Whether the host has the instructions of a class of System.Runtime.Intrinsics.X86.</summary>
    public static bool IsSupported(Type type) => (bool)type.GetProperty("IsSupported")!.GetValue(null)!;

    private static MethodInfo ToScalar(Type element) =>
        typeof(Vector128).GetMethod(nameof(Vector128.ToScalar))!.MakeGenericMethod(element);
}
